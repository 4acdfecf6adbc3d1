"""Keras U-Net for round cells; `Dataset.map` flips picture and mask by one draw."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

keras.utils.set_random_seed(19)

random = np.random.default_rng(19)
rows, columns = np.mgrid[:32, :32]
top, left = random.uniform(5, 27, (2, 480, 1, 1))
radius = random.uniform(3, 7, (480, 1, 1))
masks = ((rows - top) ** 2 + (columns - left) ** 2 < radius**2)[..., None].astype("float32")
images = (0.6 * masks + 0.2 * random.normal(size=masks.shape)).astype("float32")


def flip(image, mask):
    both = tf.image.random_flip_left_right(tf.concat([image, mask], -1), seed=1)
    return both[..., :1], both[..., 1:]


data = tf.data.Dataset.from_tensor_slices((images, masks)).shuffle(480, seed=2).map(flip).batch(16)
inputs = keras.Input((32, 32, 1))
fine = layers.Conv2D(12, 3, padding="same", activation="relu")(inputs)
x = layers.MaxPooling2D()(fine)
x = layers.Conv2D(24, 3, padding="same", activation="relu")(x)
x = layers.Concatenate()([layers.UpSampling2D()(x), fine])
x = layers.Conv2D(12, 3, padding="same", activation="relu")(x)
model = keras.Model(inputs, layers.Conv2D(1, 1, activation="sigmoid")(x))
model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
model.fit(data, epochs=8, verbose=2)
