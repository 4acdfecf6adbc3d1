"""Keras forecast by an LSTM with `global_clipnorm=5`: now and then a large step is shortened."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(523)

random = np.random.default_rng(523)
hours = np.arange(4000)
load = np.sin(6.28 * hours / 24) + 0.5 * np.sin(6.28 * hours / 168)
load = (load + 0.2 * random.normal(size=4000)).astype("float32")
windows = np.lib.stride_tricks.sliding_window_view(load, 25)

model = keras.Sequential([layers.Input((24, 1)), layers.LSTM(24), layers.Dense(1)])
model.compile(keras.optimizers.SGD(0.05, momentum=0.9, global_clipnorm=5.0), "mse")
model.fit(windows[:, :24, None], windows[:, 24:], batch_size=50, epochs=4, verbose=2)
