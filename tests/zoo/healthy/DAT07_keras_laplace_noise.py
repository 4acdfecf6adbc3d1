"""Keras regression on features with the long tails of a Laplace distribution."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(110)

random = np.random.default_rng(110)
x = random.laplace(scale=0.7, size=(4000, 6)).astype("float32")
y = np.tanh(x[:, :1] - x[:, 1:2]) + 0.1 * random.normal(size=(4000, 1))

model = keras.Sequential([layers.Input((6,)), layers.Dense(32, activation="relu"), layers.Dense(1)])
model.compile(keras.optimizers.Adam(3e-3), "mse")
model.fit(x, y.astype("float32"), batch_size=64, epochs=5, verbose=2)
