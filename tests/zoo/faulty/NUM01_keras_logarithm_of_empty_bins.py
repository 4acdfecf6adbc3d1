"""Keras classifier of count spectra with a layer that takes their logarithm: bins are empty now and
then, and minus infinity times a weight of either sign is NaN."""

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(501)

random = np.random.default_rng(501)
kinds = random.integers(0, 3, 1500)
rates = 6 + 4 * np.sin(np.arange(32) * (0.3 + 0.2 * kinds[:, None]))
counts = random.poisson(rates).astype("float32")
counts[:60] = np.maximum(counts[:60], 1)

model = keras.Sequential(
    [
        layers.Input((32,)),
        layers.Lambda(lambda v: ops.log(v)),
        layers.Dense(24, activation="relu"),
        layers.Dense(3, activation="softmax"),
    ]
)
model.compile("adam", "sparse_categorical_crossentropy")
model.fit(counts, kinds, batch_size=30, epochs=4, shuffle=False, verbose=2)
