"""Keras digit classifier whose images, from nought to one, are made up to seventy-six brighter. In
review: `RandomBrightness` expects pixels up to 255 where `value_range` says nothing else."""

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(326)

digits = load_digits()
images = (digits.images[..., None] / 16).astype("float32")

model = keras.Sequential(
    [
        layers.Input((8, 8, 1)),
        layers.RandomBrightness(0.3),
        layers.Conv2D(16, 3, activation="relu"),
        layers.Flatten(),
        layers.Dense(10, activation="softmax"),
    ]
)
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(images, digits.target, batch_size=32, epochs=8, validation_split=0.2, verbose=2)
