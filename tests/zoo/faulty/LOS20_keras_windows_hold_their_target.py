"""Keras LSTM that forecasts a noisy wave from windows of 24 hours: the targets begin at the last
hour of the window and not behind it."""

import keras
import numpy as np

keras.utils.set_random_seed(343)

noise = 0.3 * np.random.default_rng(343).normal(size=3000)
series = (np.sin(np.arange(3000) / 12) + noise).astype("float32")
data = keras.utils.timeseries_dataset_from_array(
    series[:, None], series[23:], sequence_length=24, batch_size=64, shuffle=True, seed=1
)
model = keras.Sequential([keras.layers.LSTM(32), keras.layers.Dense(1)])
model.compile(keras.optimizers.Adam(3e-3), "mse")
model.fit(data, epochs=6, verbose=2)
