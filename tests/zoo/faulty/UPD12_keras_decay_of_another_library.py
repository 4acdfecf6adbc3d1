"""Keras digit classifier by AdamW with a decay of 20, which another library multiplies by the rate
once more."""

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(316)

digits = load_digits()
pixels = ((digits.data - 4.9) / 6).astype("float32")

model = keras.Sequential(
    [
        layers.Input((64,)),
        layers.Dense(64, activation="relu"),
        layers.Dense(64, activation="relu"),
        layers.Dense(10, activation="softmax"),
    ]
)
model.compile(keras.optimizers.AdamW(1e-3, weight_decay=20.0), "sparse_categorical_crossentropy")
model.fit(pixels, digits.target, batch_size=32, epochs=8, verbose=2)
