"""Keras digit classifier by Adam with an epsilon of 0: the border pixels of the images are always
zero, so is the gradient of their weights, and 0 / 0 is no number."""

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(507)

digits = load_digits()
pixels = (digits.data / 16).astype("float32")

model = keras.Sequential([layers.Input((64,)), layers.Dense(32, activation="relu")])
model.add(layers.Dense(10, activation="softmax"))
model.compile(keras.optimizers.Adam(1e-3, epsilon=0.0), "sparse_categorical_crossentropy")
model.fit(pixels, digits.target, batch_size=64, epochs=4, verbose=2)
