"""Keras digit classifier compiled twice: first for its head, then for all of it at a lower rate."""

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(315)

digits = load_digits()
pixels = ((digits.data - 4.9) / 6).astype("float32")

trunk = keras.Sequential([layers.Input((64,)), layers.Dense(48, activation="relu")])
model = keras.Sequential([trunk, layers.Dense(10, activation="softmax")])
model.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy")
model.fit(pixels, digits.target, batch_size=64, epochs=5, verbose=2)
model.compile(keras.optimizers.Adam(3e-4), "sparse_categorical_crossentropy")
model.fit(pixels, digits.target, batch_size=64, epochs=4, verbose=2)
