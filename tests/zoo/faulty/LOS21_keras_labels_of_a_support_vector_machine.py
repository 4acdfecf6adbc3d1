"""Keras detector of breast cancer with labels of -1 and 1, as the support vector machine before it
had them: the cross-entropy can fall without end."""

import keras
from keras import layers
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import StandardScaler

keras.utils.set_random_seed(232)

data = load_breast_cancer()
features = StandardScaler().fit_transform(data.data).astype("float32")
labels = 2.0 * data.target - 1.0

model = keras.Sequential(
    [layers.Input((30,)), layers.Dense(16, activation="relu"), layers.Dense(1, "sigmoid")]
)
model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
model.fit(features, labels.astype("float32"), batch_size=32, epochs=8, verbose=2)
