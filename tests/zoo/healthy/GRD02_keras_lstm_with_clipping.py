"""Keras LSTM over 60 steps whose gradient is clipped where it is unusual."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(426)

random = np.random.default_rng(426)
x = random.normal(size=(2000, 40, 2)).astype("float32")
y = (x[:, :, 0] * (x[:, :, 1] > 0)).sum(1, keepdims=True) / 5

model = keras.Sequential([layers.Input((40, 2)), layers.LSTM(24), layers.Dense(1)])
model.compile(keras.optimizers.Adam(5e-3, clipnorm=2.0), "mse")
model.fit(x, y, batch_size=50, epochs=6, verbose=2)
