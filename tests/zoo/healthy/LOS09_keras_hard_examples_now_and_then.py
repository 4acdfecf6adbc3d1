"""Keras regression with rare large errors in its targets: single batches are hard, and the next one
is not."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(215)

random = np.random.default_rng(215)
x = random.normal(size=(6000, 8)).astype("float32")
y = np.tanh(x[:, :1]) + x[:, 1:2] * 0.5 + 0.1 * random.normal(size=(6000, 1))
y[random.choice(6000, 40, replace=False)] += 4

model = keras.Sequential([layers.Input((8,)), layers.Dense(32, activation="relu"), layers.Dense(1)])
model.compile(keras.optimizers.Adam(2e-3), "huber")
model.fit(x, y.astype("float32"), batch_size=64, epochs=4, verbose=2)
