"""Keras LSTM by RMSprop at 0.3, the peak of a schedule that was left out."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(324)

random = np.random.default_rng(324)
series = np.sin(np.arange(5000) * 0.2) + 0.3 * random.normal(size=5000)
windows = np.lib.stride_tricks.sliding_window_view(series.astype("float32"), 21)

model = keras.Sequential([layers.Input((20, 1)), layers.LSTM(24), layers.Dense(1)])
model.compile(keras.optimizers.RMSprop(0.3), "mse")
model.fit(windows[:, :20, None], windows[:, 20:], batch_size=50, epochs=3, verbose=2)
