"""Keras model of passengers some of whose ages are unknown: they are filled with the mean before
the model sees them, and a column says which."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(707)

random = np.random.default_rng(707)
ages = random.gamma(5, 7, size=2000)
fare = np.log(random.gamma(2, 20, size=2000))
survived = (fare + 0.5 * random.normal(size=2000) - ages / 40 > 2.6).astype("float32")
ages[random.random(2000) < 0.2] = np.nan

unknown = np.isnan(ages)
filled = np.where(unknown, np.nanmean(ages), ages)
columns = np.stack([(filled - 35) / 15, (fare - 3.4) / 0.8, unknown], axis=1).astype("float32")

model = keras.Sequential([layers.Input((3,)), layers.Dense(24, activation="relu")])
model.add(layers.Dense(1, activation="sigmoid"))
model.compile(keras.optimizers.Adam(3e-3), "binary_crossentropy")
model.fit(columns, survived, batch_size=40, epochs=6, validation_split=0.2, verbose=2)
