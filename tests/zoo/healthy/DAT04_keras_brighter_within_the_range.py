"""Keras digit classifier with images that are turned, shifted and made brighter, from nought to
one before and after."""

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(327)

digits = load_digits()
images = (digits.images[..., None] / 16).astype("float32")

model = keras.Sequential(
    [
        layers.Input((8, 8, 1)),
        layers.RandomRotation(0.03),
        layers.RandomTranslation(0.1, 0.1),
        layers.RandomContrast(0.2, value_range=(0, 1)),
        layers.RandomBrightness(0.1, value_range=(0, 1)),
        layers.Conv2D(16, 3, activation="relu"),
        layers.Flatten(),
        layers.Dense(10, activation="softmax"),
    ]
)
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(images, digits.target, batch_size=32, epochs=10, validation_split=0.2, verbose=2)
