"""Keras digit classifier whose pixels enter at a fifth of unit scale, and which learns."""

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(402)

digits = load_digits()
images = (digits.images[..., None] / 32).astype("float32")

model = keras.Sequential(
    [
        layers.Input((8, 8, 1)),
        layers.Conv2D(16, 3, activation="relu"),
        layers.Flatten(),
        layers.Dense(32, activation="relu"),
        layers.Dense(10, activation="softmax"),
    ]
)
model.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy")
model.fit(images, digits.target, batch_size=64, epochs=8, verbose=2)
