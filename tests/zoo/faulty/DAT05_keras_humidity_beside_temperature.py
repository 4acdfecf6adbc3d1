"""Keras regression of the comfort of a room from temperatures in degrees and humidities in
kilograms of water per kilogram of air: the second are thousandths, and their weights would have to
be large."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(601)

random = np.random.default_rng(601)
degrees = random.normal(0, 6, (3000, 3))
humidity = random.normal(0, 0.004, (3000, 3))
comfort = np.tanh(degrees[:, :1] / 8) + 120 * humidity[:, :1]
x = np.concatenate([degrees, humidity], axis=1).astype("float32")

model = keras.Sequential([layers.Input((6,)), layers.Dense(32, activation="relu"), layers.Dense(1)])
model.compile(keras.optimizers.Adam(2e-3), "mse")
model.fit(x, comfort.astype("float32"), batch_size=64, epochs=5, verbose=2)
