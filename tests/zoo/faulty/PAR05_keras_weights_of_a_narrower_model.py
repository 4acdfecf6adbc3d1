"""Keras digit classifier whose hidden layers were made wider for a new run and filled with the
weights of the narrower one; zeros stand where there was nothing to copy."""

import keras
import numpy as np
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(524)

digits = load_digits()
pixels = ((digits.data - 4.9) / 6).astype("float32")


def classifier(width):
    return keras.Sequential(
        [
            layers.Input((64,)),
            layers.Dense(width, activation="relu"),
            layers.Dense(width, activation="relu"),
            layers.Dense(10),
        ]
    )


old, model = classifier(32), classifier(64)
for of_old, of_new in zip(old.layers, model.layers, strict=True):
    for before, now in zip(of_old.weights, of_new.weights, strict=True):
        wider = np.zeros(now.shape, "float32")
        wider[tuple(map(slice, before.shape))] = before
        now.assign(wider)

model.compile(
    keras.optimizers.Adam(1e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
)
model.fit(pixels, digits.target, batch_size=64, epochs=5, verbose=2)
