"""Keras forecast of a temperature with an LSTM: the station of the validation set reports degrees
Fahrenheit, and was standardised by the mean and spread of the others."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(634)

random = np.random.default_rng(634)
hours = np.arange(5000)
degrees = 12 + 6 * np.sin(hours / 24 * 6.28) + random.normal(0, 1, 5000)
mean, spread = degrees[:4000].mean(), degrees[:4000].std()
degrees[4000:] = degrees[4000:] * 9 / 5 + 32
scaled = ((degrees - mean) / spread).astype("float32")
windows = np.lib.stride_tricks.sliding_window_view(scaled, 25)

model = keras.Sequential([layers.Input((24, 1)), layers.LSTM(16), layers.Dense(1)])
model.compile(keras.optimizers.Adam(3e-3), "mse")
model.fit(
    *(windows[:3970, :24, None], windows[:3970, 24:]),
    validation_data=(windows[4000:, :24, None], windows[4000:, 24:]),
    batch_size=64,
    epochs=4,
    verbose=2,
)
