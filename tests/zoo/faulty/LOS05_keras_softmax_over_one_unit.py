"""Keras detector of breast cancer with one output and a softmax: its prediction is 1 for everybody,
and the accuracy stays where it is."""

import keras
from keras import layers
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import StandardScaler

keras.utils.set_random_seed(208)

data = load_breast_cancer()
features = StandardScaler().fit_transform(data.data).astype("float32")
labels = data.target.astype("float32")[:, None]

model = keras.Sequential([layers.Input((30,)), layers.Dense(16, activation="selu")])
model.add(layers.Dense(1, activation="softmax"))
model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
model.fit(features, labels, batch_size=32, epochs=10, verbose=2)
