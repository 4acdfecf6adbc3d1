"""Keras digit classifier with large first filters that are not trained, as one does with those of a
trained model. The file was not found, and these are as they were drawn."""

import keras
import numpy as np
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(607)

digits = load_digits()
images = np.kron(digits.images, np.ones((3, 3)))
images = (images + np.roll(images, 1, 1) + np.roll(images, 1, 2) + np.roll(images, 2, 1)) / 32 - 1
images = images[..., None].astype("float32")

stem = layers.Conv2D(16, 7, strides=2, activation="relu")
stem.trainable = False
model = keras.Sequential(
    [
        layers.Input((24, 24, 1)),
        stem,
        layers.MaxPooling2D(),
        layers.Conv2D(24, 3, activation="relu"),
        layers.Flatten(),
        layers.Dense(10, activation="softmax"),
    ]
)
model.compile(keras.optimizers.Adam(2e-3), "sparse_categorical_crossentropy")
model.fit(images, digits.target, batch_size=48, epochs=8, verbose=2)
