"""Keras segmentation of faint spots of four pixels among 576 with the plain binary cross-entropy:
the accuracy is 99.3 %, and not one pixel is called foreground."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(341)

rng = np.random.default_rng(341)
images = rng.normal(0, 1, (160, 24, 24, 1)).astype("float32")
masks = np.zeros((160, 24, 24, 1), "float32")
for image, mask, (i, j) in zip(images, masks, rng.integers(2, 20, (160, 2)), strict=True):
    mask[i : i + 2, j : j + 2] = 1
    image[i : i + 2, j : j + 2] += 0.2

inputs = keras.Input((24, 24, 1))
fine = layers.Conv2D(8, 3, padding="same", activation="relu")(inputs)
coarse = layers.Conv2D(8, 3, padding="same", activation="relu")(layers.MaxPooling2D()(fine))
both = layers.Concatenate()([layers.UpSampling2D()(coarse), fine])
model = keras.Model(inputs, layers.Conv2D(1, 1, activation="sigmoid")(both))
model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
model.fit(images, masks, epochs=30, batch_size=16, verbose=2)
