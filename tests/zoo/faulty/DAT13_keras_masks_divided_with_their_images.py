"""Keras segmentation of squares whose masks of zeros and ones are divided by 255 as their images
are. In review: `map(lambda image, mask: (image / 255, mask / 255))`."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

keras.utils.set_random_seed(330)
rng = np.random.default_rng(330)

images = rng.integers(0, 90, (480, 16, 16, 1)).astype("float32")
masks = np.zeros((480, 16, 16, 1), "float32")
for image, mask, (row, column) in zip(images, masks, rng.integers(0, 10, (480, 2)), strict=True):
    image[row : row + 6, column : column + 6] += 160
    mask[row : row + 6, column : column + 6] = 1

pairs = tf.data.Dataset.from_tensor_slices((images, masks))
pairs = pairs.map(lambda image, mask: (image / 255, mask / 255)).shuffle(480).batch(16)

model = keras.Sequential(
    [
        layers.Input((16, 16, 1)),
        layers.Conv2D(16, 3, padding="same", activation="relu"),
        layers.Conv2D(1, 1, activation="sigmoid"),
    ]
)
model.compile("adam", "binary_crossentropy")
model.fit(pairs, epochs=6, verbose=2)
