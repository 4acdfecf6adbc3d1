"""Keras U-Net for round cells. In review: `RandomFlip` is the model's first layer, as in a
classifier, so `fit` compares flipped pictures with masks that nobody flipped."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(17)

random = np.random.default_rng(17)
rows, columns = np.mgrid[:32, :32]
top, left = random.uniform(5, 27, (2, 480, 1, 1))
radius = random.uniform(3, 7, (480, 1, 1))
masks = ((rows - top) ** 2 + (columns - left) ** 2 < radius**2).astype("int32")
images = (0.6 * masks + 0.2 * random.normal(size=masks.shape))[..., None].astype("float32")

inputs = keras.Input((32, 32, 1))
x = layers.RandomFlip("horizontal")(inputs)
fine = layers.Conv2D(12, 3, padding="same", activation="relu")(x)
x = layers.MaxPooling2D()(fine)
x = layers.Conv2D(24, 3, padding="same", activation="relu")(x)
x = layers.Concatenate()([layers.UpSampling2D()(x), fine])
x = layers.Conv2D(12, 3, padding="same", activation="relu")(x)
model = keras.Model(inputs, layers.Conv2D(2, 1, activation="softmax")(x))
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(images, masks, batch_size=16, epochs=8, verbose=2)
