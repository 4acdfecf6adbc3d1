"""Keras net that marks roads on aerial pictures, one sigmoid per pixel. In review: the function
given to `map` flips the picture and passes the mask on."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

keras.utils.set_random_seed(29)

random = np.random.default_rng(29)
rows, columns = np.mgrid[:24, :24]
height, slope = random.uniform(4, 20, (320, 1, 1)), random.normal(0, 0.3, (320, 1, 1))
roads = np.abs(rows - height - slope * (columns - 12)) < 2
masks = roads[..., None].astype("float32")
pictures = (0.7 * masks - 0.3 + 0.2 * random.normal(size=masks.shape)).astype("float32")


def augmented(picture, mask):
    return tf.image.random_flip_up_down(picture, seed=3), mask


data = tf.data.Dataset.from_tensor_slices((pictures, masks)).shuffle(320, seed=5)
data = data.map(augmented).batch(16)
model = keras.Sequential(
    [
        keras.Input((24, 24, 1)),
        layers.Conv2D(16, 5, padding="same", activation="relu"),
        layers.Conv2D(16, 5, padding="same", activation="relu"),
        layers.Conv2D(1, 5, padding="same", activation="sigmoid"),
    ]
)
model.compile(keras.optimizers.Adam(2e-3), "binary_crossentropy", metrics=["accuracy"])
model.fit(data, epochs=10, verbose=2)
