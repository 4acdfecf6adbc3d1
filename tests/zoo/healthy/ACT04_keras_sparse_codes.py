"""Keras autoencoder with an L1 penalty on its code: for each image few units fire, and each fires
for some."""

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(408)

digits = load_digits()
pixels = (digits.data / 16).astype("float32")

model = keras.Sequential(
    [
        layers.Input((64,)),
        layers.Dense(96, activation="relu", activity_regularizer=keras.regularizers.L1(1e-4)),
        layers.Dense(64, activation="sigmoid"),
    ]
)
model.compile(keras.optimizers.Adam(2e-3), "binary_crossentropy")
model.fit(pixels, pixels, batch_size=64, epochs=10, verbose=2)
