"""Keras model of weather: pressure in pascal beside humidity as a share, as they were measured. The
first layer is adapted to the data and brings each column to its own scale."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(701)

random = np.random.default_rng(701)
pressure = 101_300 + 800 * random.normal(size=2400)
humidity = random.beta(4, 2, size=2400)
warmth = 285 + 9 * random.normal(size=2400)
weather = np.stack([pressure, humidity, warmth], axis=1).astype("float32")
rain = (humidity - 0.65 - (pressure - 101_300) / 4000 + 0.1 * random.normal(size=2400)) > 0

scaled = layers.Normalization()
scaled.adapt(weather)
model = keras.Sequential([layers.Input((3,)), scaled, layers.Dense(24, activation="relu")])
model.add(layers.Dense(1, activation="sigmoid"))
model.compile(keras.optimizers.Adam(3e-3), "binary_crossentropy")
model.fit(weather, rain.astype("float32"), batch_size=48, epochs=6, validation_split=0.2, verbose=2)
