"""Keras LSTM that forecasts a series with jumps, and clips each error to [-0.5, 0.5] before it is
squared. The large errors, which have the most to say, have no gradient."""

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(606)

random = np.random.default_rng(606)
level = np.repeat(random.normal(0, 1.5, 200), 20)
series = (level + 0.2 * random.normal(size=4000)).astype("float32")
windows = np.lib.stride_tricks.sliding_window_view(series, 13)


def clipped(true, predicted):
    return ops.mean(ops.square(ops.clip(true - predicted, -0.5, 0.5)), axis=-1)


model = keras.Sequential([layers.Input((12, 1)), layers.LSTM(20), layers.Dense(1)])
model.compile(keras.optimizers.Adam(2e-3), clipped)
model.fit(windows[:, :12, None], windows[:, 12:], batch_size=64, epochs=4, verbose=2)
