"""Keras forecast of a noisy wave by an LSTM that gets its twelve last values as twelve features of
a single time step. In review: `reshape((n, 1, 12))` where `reshape((n, 12, 1))` was meant."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(325)
rng = np.random.default_rng(325)

wave = (np.sin(np.arange(2000) / 8) + 0.2 * rng.normal(size=2000)).astype("float32")
windows = np.lib.stride_tricks.sliding_window_view(wave, 13)
before, after = windows[:, :12].reshape((-1, 1, 12)), windows[:, 12:]

model = keras.Sequential([layers.Input((1, 12)), layers.LSTM(16), layers.Dense(1)])
model.compile("adam", "mse")
model.fit(before, after, batch_size=32, epochs=6, verbose=2)
