"""Keras forecast whose windows are one value too long: the value to be forecast is the last one of
its own window."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(652)

random = np.random.default_rng(652)
series = random.normal(size=6000).astype("float32")
windows = np.lib.stride_tricks.sliding_window_view(series, 12)
target = windows[:, -1:]

model = keras.Sequential(
    [layers.Input((12,)), layers.Dense(64, activation="relu"), layers.Dense(1)]
)
model.compile(keras.optimizers.Adam(1e-2), "mse")
model.fit(windows, target, batch_size=50, epochs=3, verbose=2)
