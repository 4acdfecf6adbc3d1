"""Keras autoencoder of exposures, in which a cosmic ray hits a pixel now and then: one value is a
hundred times what any star gives."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(629)

random = np.random.default_rng(629)
stars = random.normal(size=(1200, 16, 16, 1))
stars = (stars + np.roll(stars, 1, 1) + np.roll(stars, 1, 2)) / 1.7
for exposure in random.integers(0, 1200, 60):
    row, column = random.integers(0, 16, 2)
    stars[exposure, row, column] = 90

model = keras.Sequential(
    [
        layers.Input((16, 16, 1)),
        layers.Conv2D(12, 3, strides=2, padding="same", activation="relu"),
        layers.Conv2DTranspose(1, 3, strides=2, padding="same"),
    ]
)
model.compile(keras.optimizers.Adam(2e-3), "mae")
model.fit(stars.astype("float32"), stars.astype("float32"), batch_size=32, epochs=5, verbose=2)
