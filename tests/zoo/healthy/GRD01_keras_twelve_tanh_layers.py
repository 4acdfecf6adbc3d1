"""Keras digit classifier of eight tanh layers, whose slope is one at zero."""

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(424)

digits = load_digits()
pixels = ((digits.data - 4.9) / 6).astype("float32")

hidden = [layers.Dense(64, activation="tanh") for _ in range(8)]
model = keras.Sequential([layers.Input((64,)), *hidden, layers.Dense(10, activation="softmax")])
model.compile(keras.optimizers.SGD(0.05, momentum=0.9), "sparse_categorical_crossentropy")
model.fit(pixels, digits.target, batch_size=64, epochs=6, verbose=2)
