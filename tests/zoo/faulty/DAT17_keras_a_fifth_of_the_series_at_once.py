"""Keras forecast with a GRU on 1500 windows, 300 at a time, because the accelerator is not busy
with fewer: an epoch is five steps."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(636)

random = np.random.default_rng(636)
series = np.sin(np.arange(1515) * 0.3) + 0.2 * random.normal(size=1515)
windows = np.lib.stride_tricks.sliding_window_view(series.astype("float32"), 16)

model = keras.Sequential([layers.Input((15, 1)), layers.GRU(20), layers.Dense(1)])
model.compile(keras.optimizers.Adam(5e-3), "mse")
model.fit(windows[:, :15, None], windows[:, 15:], batch_size=300, epochs=25, verbose=0)
