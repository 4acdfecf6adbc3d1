"""Keras digit classifier of four layers that are one: `Dense(64)` has no activation function unless
it is told."""

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(415)

digits = load_digits()
pixels = ((digits.data - 4.9) / 6).astype("float32")

model = keras.Sequential(
    [
        layers.Input((64,)),
        layers.Dense(64),
        layers.Dense(64),
        layers.Dense(64),
        layers.Dense(10, activation="softmax"),
    ]
)
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(pixels, digits.target, batch_size=64, epochs=6, verbose=2)
