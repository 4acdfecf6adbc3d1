"""Keras digit classifier that seeds NumPy for its split and nothing else: the weights are drawn
anew each time."""

import keras
import numpy as np
from keras import layers
from sklearn.datasets import load_digits

np.random.seed(328)

digits = load_digits()
order = np.random.permutation(1797)
pixels, labels = ((digits.data - 4.9) / 6).astype("float32")[order], digits.target[order]

model = keras.Sequential([layers.Input((64,)), layers.Dense(48, activation="relu")])
model.add(layers.Dense(10, activation="softmax"))
model.compile("adam", "sparse_categorical_crossentropy")
model.fit(pixels, labels, batch_size=64, epochs=5, verbose=2)
