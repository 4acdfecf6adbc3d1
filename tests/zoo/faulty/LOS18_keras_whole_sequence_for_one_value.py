"""Keras LSTM that predicts the next reading from a day of them. It returns its whole sequence, so
that each hour of the day is trained to predict what comes after the last.
"""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(421)
random = np.random.default_rng(421)

readings = np.sin(np.arange(3000) / 9) + 0.1 * random.normal(size=3000)
days = np.stack([readings[start : start + 24] for start in range(2900)])[..., None]
following = readings[24:2924, None]

model = keras.Sequential(
    [
        layers.Input((24, 1)),
        layers.LSTM(16, return_sequences=True),
        layers.Dense(1),
    ]
)
model.compile(keras.optimizers.Adam(3e-3), "mse")
model.fit(days.astype("float32"), following, epochs=4, batch_size=32, verbose=2)
