"""Keras house prices, standardised for the training."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(30)

random = np.random.default_rng(30)
x = random.normal(size=(2500, 8)).astype("float32")
price = 300 + 80 * np.tanh(x[:, :1] + 0.5 * x[:, 1:2]) + 5 * random.normal(size=(2500, 1))
price = ((price - price.mean()) / price.std()).astype("float32")

model = keras.Sequential([layers.Input((8,)), layers.Dense(48, activation="relu"), layers.Dense(1)])
model.compile("adam", "mae")
model.fit(
    x[:2000],
    price[:2000],
    batch_size=64,
    epochs=8,
    validation_data=(x[2000:], price[2000:]),
    verbose=2,
)
