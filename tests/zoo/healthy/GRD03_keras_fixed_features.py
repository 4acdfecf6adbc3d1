"""Keras digit classifier on fixed random features, whose layer is not trainable."""

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(428)

digits = load_digits()
pixels = ((digits.data - 4.9) / 6).astype("float32")

model = keras.Sequential(
    [
        layers.Input((64,)),
        layers.Dense(48, activation="relu", trainable=False),
        layers.Dense(48, activation="relu"),
        layers.Dense(32, activation="relu"),
        layers.Dense(10, activation="softmax"),
    ]
)
model.compile(keras.optimizers.Adam(2e-3), "sparse_categorical_crossentropy")
model.fit(pixels, digits.target, batch_size=64, epochs=6, verbose=2)
