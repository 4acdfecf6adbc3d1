"""Keras segmentation of blobs: the sigmoid stands before a Reshape, where Keras no longer knows its
logits, and the loss applies another one. In review: `from_logits=True` and a sigmoid."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(206)

random = np.random.default_rng(206)
grid = np.stack(np.meshgrid(np.arange(16), np.arange(16)), -1)
centres = random.uniform(3, 13, (1200, 1, 1, 2))
masks = (((grid - centres) ** 2).sum(-1) < 12).astype("float32")
images = (masks + 0.6 * random.normal(size=masks.shape) - 0.15)[..., None].astype("float32")

inputs = keras.Input((16, 16, 1))
hidden = layers.Conv2D(12, 3, padding="same", activation="relu")(inputs)
hidden = layers.Conv2D(12, 3, padding="same", activation="relu")(hidden)
outputs = layers.Reshape((16, 16))(layers.Conv2D(1, 1, activation="sigmoid")(hidden))
model = keras.Model(inputs, outputs)
model.compile(keras.optimizers.Adam(3e-3), keras.losses.BinaryCrossentropy(from_logits=True))
model.fit(images, masks, batch_size=40, epochs=5, verbose=2)
