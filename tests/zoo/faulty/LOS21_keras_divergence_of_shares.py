"""Keras model of how voters divide themselves among parties whose divergence is computed from
outputs that need not add up to one: it can be made negative by making them large."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(653)

random = np.random.default_rng(653)
x = random.normal(size=(2500, 8)).astype("float32")
raw = np.exp(x[:, :4] + 0.3 * random.normal(size=(2500, 4)))
shares = (raw / raw.sum(axis=1, keepdims=True)).astype("float32")

inputs = keras.Input((8,))
hidden = layers.Dense(32, activation="tanh")(inputs)
model = keras.Model(inputs, layers.Dense(4, activation="sigmoid")(hidden))
model.compile(keras.optimizers.Adam(3e-3), keras.losses.KLDivergence())
model.fit(x, shares, batch_size=50, epochs=5, verbose=2)
