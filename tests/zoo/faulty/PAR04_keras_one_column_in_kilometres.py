"""Keras model of prices with one column in kilometres among others of unit scale: what counts most
is the smallest number, and its weights are driven to a scale of their own."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(443)

random = np.random.default_rng(443)
x = random.normal(size=(2400, 40)).astype("float32")
price = 6 * x[:, :1] * (1 + 0.2 * x[:, 1:2])
x[:, 0] *= 0.02

model = keras.Sequential([layers.Input((40,)), layers.Dense(32, activation="relu")])
model.add(layers.Dense(1))
model.compile(keras.optimizers.Adam(0.02), "mse")
model.fit(x, price, batch_size=64, epochs=12, verbose=2)
