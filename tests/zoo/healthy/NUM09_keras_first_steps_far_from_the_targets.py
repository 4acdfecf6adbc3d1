"""Keras regression by momentum whose first losses are large, for the targets lie two deviations
off: they fall in a few steps, and every number stays finite."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(708)

random = np.random.default_rng(708)
x = random.normal(size=(2000, 10)).astype("float32")
y = (2 + np.sin(2 * x[:, :1]) + 0.5 * x[:, 1:2] * x[:, 2:3]).astype("float32")

model = keras.Sequential([layers.Input((10,)), layers.Dense(48, activation="relu")])
model.add(layers.Dense(48, activation="relu"))
model.add(layers.Dense(1))
model.compile(keras.optimizers.SGD(0.02, momentum=0.9), "mse")
model.fit(x, y, batch_size=40, epochs=6, verbose=2)
