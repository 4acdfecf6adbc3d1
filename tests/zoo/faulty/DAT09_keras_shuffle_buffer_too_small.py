"""Keras digit classifier on images that lie in a folder for each class, read in this order: the
shuffle buffer of 50 never holds more than one class or two. In review: `.shuffle(50)`."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(113)

digits = load_digits()
order = np.argsort(digits.target, kind="stable")
images = (digits.images[order, ..., None] / 8 - 1).astype("float32")
data = tf.data.Dataset.from_tensor_slices((images, digits.target[order])).shuffle(50).batch(32)

model = keras.Sequential(
    [
        layers.Input((8, 8, 1)),
        layers.Conv2D(16, 3, activation="relu"),
        layers.Flatten(),
        layers.Dense(10, activation="softmax"),
    ]
)
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(data, epochs=5, verbose=2)
