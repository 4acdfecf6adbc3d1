"""Keras forecast of the acidity of a river, which is about 7.4 in the mean, with an LSTM
whose last bias starts at zero: the first hundreds of steps learn one number."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(642)

random = np.random.default_rng(642)
days = np.arange(4000)
acidity = 7.4 + 1.2 * np.sin(days / 30) + 0.2 * random.normal(size=4000)
windows = np.lib.stride_tricks.sliding_window_view(acidity.astype("float32"), 15)

model = keras.Sequential([layers.Input((14, 1)), layers.LSTM(16), layers.Dense(1)])
model.compile(keras.optimizers.Adam(1e-3), "mae")
model.fit(windows[:, :14, None] - 7.4, windows[:, 14:], batch_size=50, epochs=5, verbose=2)
