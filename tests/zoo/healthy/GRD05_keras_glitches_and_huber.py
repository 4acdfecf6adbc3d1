"""Keras regression of the same readings by Huber's loss, which takes a glitch for what it is."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(432)

random = np.random.default_rng(432)
x = random.normal(size=(8000, 6)).astype("float32")
y = np.tanh(x[:, :1]) + 0.3 * x[:, 1:2] + 0.1 * random.standard_t(4, size=(8000, 1))

model = keras.Sequential([layers.Input((6,)), layers.Dense(32, activation="relu"), layers.Dense(1)])
model.compile(keras.optimizers.SGD(0.05), keras.losses.Huber(0.5))
model.fit(x, y.astype("float32"), batch_size=32, epochs=2, verbose=2)
