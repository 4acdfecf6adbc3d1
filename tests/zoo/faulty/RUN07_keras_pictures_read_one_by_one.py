"""Keras digit classifier fed by a `PyDataset` that reads its pictures over a network, one after the
other, without workers: the model waits for its data most of the time."""

import time

import keras
import numpy as np
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(540)


class Pictures(keras.utils.PyDataset):
    def __init__(self):
        super().__init__()
        digits = load_digits()
        self.pixels = ((digits.data - 4.9) / 6).astype("float32")
        self.labels = digits.target

    def __len__(self):
        return len(self.labels) // 64

    def __getitem__(self, number):
        rows = range(64 * number, 64 * number + 64)
        time.sleep(0.0008 * len(rows))  # the network
        return np.stack([self.pixels[row] for row in rows]), self.labels[rows.start : rows.stop]


model = keras.Sequential(
    [layers.Input((64,)), layers.Dense(96, activation="relu"), layers.Dense(10)]
)
model.compile(
    keras.optimizers.Adam(2e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
)
model.fit(Pictures(), epochs=4, verbose=2)
