"""Keras regression whose normalisation layer is given standard deviations as its variances. In
review: `variance=rows.std(axis=0)`."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(332)
rng = np.random.default_rng(332)

rows = (1000 + 250 * rng.normal(size=(1500, 6))).astype("float32")
wanted = (rows[:, :1] - rows[:, 1:2]) / 250

model = keras.Sequential(
    [
        layers.Input((6,)),
        layers.Normalization(mean=rows.mean(axis=0), variance=rows.std(axis=0)),
        layers.Dense(32, activation="relu"),
        layers.Dense(1),
    ]
)
model.compile("adam", "mse")
model.fit(rows, wanted, batch_size=32, epochs=8, validation_split=0.2, verbose=2)
