"""Keras digit classifier by Adam with an epsilon of 1e-12, as a paper asked for."""

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(508)

digits = load_digits()
pixels = (digits.data / 16).astype("float32")

model = keras.Sequential([layers.Input((64,)), layers.Dense(32, activation="relu")])
model.add(layers.Dense(10, activation="softmax"))
model.compile(keras.optimizers.Adam(2e-3, epsilon=1e-12), "sparse_categorical_crossentropy")
model.fit(pixels, digits.target, batch_size=64, epochs=6, verbose=2)
