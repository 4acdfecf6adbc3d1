"""Keras credit model on age, income, home and score: the normalisation layer has the mean and the
variance it was built with, and hands the columns on as they are."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(362)

rng = np.random.default_rng(362)
count = 2000
age, income = rng.normal(40, 12, count), rng.lognormal(10.5, 0.6, count)
home, score = rng.integers(0, 2, count), rng.normal(650, 90, count)
table = np.column_stack([age, income, home, score]).astype("float32")
limit = 0.02 * age + income / 4e4 + home + score / 300 + 0.2 * rng.normal(size=count)

model = keras.Sequential(
    [
        keras.Input((4,)),
        layers.Normalization(mean=0.0, variance=1.0),
        layers.Dense(64, activation="relu"),
        layers.Dense(1),
    ]
)
model.compile("adam", "mse")
model.fit(table, limit, batch_size=64, epochs=8, validation_split=0.2, verbose=2)
