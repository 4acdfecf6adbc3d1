"""Keras segmentation of plots in aerial images whose axes were moved for another library: the
channels lie between width and height, and convolutions take rows for channels."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(637)

random = np.random.default_rng(637)
images = random.normal(0, 0.3, (900, 20, 20, 4))
kinds = random.integers(0, 2, 900)
across = np.sin(np.arange(20) * 0.9)
images += np.where(kinds[:, None, None, None], across[:, None, None], across[None, :, None])
images = np.moveaxis(images, 3, 1).astype("float32")

model = keras.Sequential(
    [
        layers.Input((4, 20, 20)),
        layers.Conv2D(24, 3, padding="same", activation="relu"),
        layers.GlobalAveragePooling2D(),
        layers.Dense(1, activation="sigmoid"),
    ]
)
model.compile(keras.optimizers.Adam(3e-3), "binary_crossentropy")
model.fit(images, kinds, batch_size=30, epochs=5, verbose=2)
