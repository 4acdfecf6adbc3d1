"""Keras LSTM that returns its whole sequence: each hour of a day predicts the hour after it."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(422)
random = np.random.default_rng(422)

readings = np.sin(np.arange(3000) / 9) + 0.1 * random.normal(size=3000)
days = np.stack([readings[start : start + 25] for start in range(2900)])[..., None]
days = days.astype("float32")

model = keras.Sequential(
    [
        layers.Input((24, 1)),
        layers.LSTM(16, return_sequences=True),
        layers.Dense(1),
    ]
)
model.compile(keras.optimizers.Adam(3e-3), "mse")
model.fit(days[:, :-1], days[:, 1:], epochs=4, batch_size=32, verbose=2)
