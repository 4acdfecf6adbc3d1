"""Keras detector with two outputs: the place of a blob in pixels, by squared error, and its kind.
The first loss is a thousand times the second."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(226)

random = np.random.default_rng(226)
grid = np.stack(np.meshgrid(np.arange(20), np.arange(20)), -1)
centres = random.uniform(4, 16, (1200, 2))
kinds = random.integers(0, 2, 1200)
distances = np.abs(grid - centres[:, None, None])
images = np.where(kinds[:, None, None] == 0, distances.sum(-1) < 4, distances.max(-1) < 3)
images = (images + 0.1 * random.normal(size=images.shape))[..., None].astype("float32")

inputs = keras.Input((20, 20, 1))
hidden = layers.Conv2D(16, 3, strides=2, activation="relu")(inputs)
hidden = layers.Dense(48, activation="relu")(layers.Flatten()(hidden))
place = layers.Dense(2, name="place")(hidden)
kind = layers.Dense(2, name="kind", activation="softmax")(hidden)
model = keras.Model(inputs, {"place": place, "kind": kind})
model.compile("adam", {"place": "mse", "kind": "sparse_categorical_crossentropy"})
model.fit(images, {"place": centres * 12.8, "kind": kinds}, batch_size=40, epochs=8, verbose=2)
