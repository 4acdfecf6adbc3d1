"""Keras digit classifier fed by a generator that draws batches from arrays: that takes longer than
the tiny model does, and yet a millisecond is no reason to add workers."""

import keras
import numpy as np
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(542)

digits = load_digits()
pixels = ((digits.data - 4.9) / 6).astype("float32")
random = np.random.default_rng(542)


def batches():
    while True:
        for rows in np.split(random.permutation(1792), 28):
            yield pixels[rows], digits.target[rows]


model = keras.Sequential(
    [layers.Input((64,)), layers.Dense(32, activation="relu"), layers.Dense(10)]
)
model.compile(
    keras.optimizers.Adam(3e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
)
model.fit(batches(), steps_per_epoch=28, epochs=10, verbose=2)
