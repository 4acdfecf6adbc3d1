"""Keras forecast of a temperature with a GRU: when the sensor did not answer, the logger wrote
9999, and the series was standardised with these values in it."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(109)

random = np.random.default_rng(109)
hours = np.arange(6000)
series = 12 + 6 * np.sin(2 * np.pi * hours / 24) + random.normal(size=6000)
series[random.choice(6000, 4, replace=False)] = 9999
series = ((series - series.mean()) / series.std()).astype("float32")
windows = np.lib.stride_tricks.sliding_window_view(series, 25)
x, y = windows[:, :24, None], np.clip(windows[:, 24:], -3, 3)

model = keras.Sequential([layers.Input((24, 1)), layers.GRU(16), layers.Dense(1)])
model.compile(keras.optimizers.Adam(3e-3), "mae")
model.fit(x, y, batch_size=64, epochs=3, verbose=2)
