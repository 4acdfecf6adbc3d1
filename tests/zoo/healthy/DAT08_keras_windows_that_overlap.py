"""Keras forecast from windows of one series: each shares all of its values but one with the next,
and no two are the same."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(112)

random = np.random.default_rng(112)
series = np.sin(np.arange(3000) * 0.1) + 0.3 * random.normal(size=3000)
windows = np.lib.stride_tricks.sliding_window_view(series.astype("float32"), 33)

model = keras.Sequential(
    [
        layers.Input((32, 1)),
        layers.Conv1D(16, 5, activation="relu"),
        layers.Conv1D(16, 5, activation="relu"),
        layers.Flatten(),
        layers.Dense(1),
    ]
)
model.compile(keras.optimizers.Adam(1e-3), "mse")
model.fit(windows[:, :32, None], windows[:, 32:], batch_size=50, epochs=5, verbose=2)
