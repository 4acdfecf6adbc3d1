"""Keras forecast of a wave by a GRU under "mixed_float16", whose loss scale starts far too high: it
is halved in the first steps, none of which is taken, and then it holds."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(706)
keras.config.set_dtype_policy("mixed_float16")

random = np.random.default_rng(706)
wave = np.sin(np.arange(2400) * 0.25) + 0.1 * random.normal(size=2400)
windows = np.lib.stride_tricks.sliding_window_view(wave.astype("float32"), 17)

model = keras.Sequential([layers.Input((16, 1)), layers.GRU(24), layers.Dense(1, dtype="float32")])
scaled = keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(3e-3), initial_scale=2.0**24)
model.compile(scaled, "mse")
model.fit(windows[:, :16, None], windows[:, 16:], batch_size=48, epochs=4, verbose=2)
