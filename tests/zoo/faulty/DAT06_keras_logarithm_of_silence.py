"""Keras classifier of sounds by the logarithm of their loudness: some recordings begin with digital
silence, whose logarithm is minus infinity."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(628)

random = np.random.default_rng(628)
kinds = random.integers(0, 2, 1500)
loudness = np.abs(random.normal(size=(1500, 40, 8))) * (1 + kinds[:, None, None])
loudness[random.random(1500) < 0.05, :6] = 0
with np.errstate(divide="ignore"):
    spectra = np.log(loudness).astype("float32")

model = keras.Sequential(
    [
        layers.Input((40, 8)),
        layers.Conv1D(24, 5, activation="relu"),
        layers.GlobalMaxPooling1D(),
        layers.Dense(1, activation="sigmoid"),
    ]
)
model.compile(keras.optimizers.SGD(0.01), "binary_crossentropy")
model.fit(spectra, kinds, batch_size=50, epochs=4, verbose=2)
