"""Calls `fit` twice on one half of two arrays, with validation, and then on the other half.

The rate follows a schedule, and a layer is left out of the model. Its argument is the run folder.
"""

import sys

import keras
import numpy as np
from keras import layers

import nntrace

nntrace.start(out=sys.argv[1], every=1)
keras.utils.set_random_seed(0)
one, other = np.random.default_rng(0).normal(size=(2, 112, 4)).astype("float32")
labels = (np.arange(112) % 6 == 0).astype("float32")

inputs = layers.Input((4,)), layers.Input((4,))
both = layers.Concatenate()(inputs)
hidden = layers.Dense(4, activation="relu", name="left_out")(both)
model = keras.Model(inputs, layers.Dense(1, activation="sigmoid")(both))
rate = keras.optimizers.schedules.CosineDecay(0.1, 100)
model.compile(keras.optimizers.SGD(rate), "binary_crossentropy")


def part(first, end):
    return [one[first:end], other[first:end]], labels[first:end]


for first, epochs, validation in ((0, 2, part(96, 112)), (0, 1, None), (48, 1, None)):
    model.fit(
        *part(first, first + 48),
        batch_size=16,
        epochs=epochs,
        validation_data=validation,
        class_weight={0: 1.0, 1: 5.0},
        verbose=0,
    )
