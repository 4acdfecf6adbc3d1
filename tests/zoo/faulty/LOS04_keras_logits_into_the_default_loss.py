"""Keras detector of breast cancer that ends without a sigmoid, compiled with
"binary_crossentropy", which expects probabilities: logits are clipped to [0, 1]."""

import keras
from keras import layers
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import StandardScaler

keras.utils.set_random_seed(205)

data = load_breast_cancer()
features = StandardScaler().fit_transform(data.data).astype("float32")

model = keras.Sequential(
    [layers.Input((30,)), layers.Dense(24, activation="relu"), layers.Dense(1)]
)
model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
model.fit(features, data.target, batch_size=32, epochs=12, verbose=2)
