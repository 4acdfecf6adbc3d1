"""Keras on PyTorch: layers that behave differently in training, and an optimizer that clips."""

import sys

import keras
import numpy as np
from keras import layers

import nntrace

nntrace.start(out=sys.argv[1], every=1)
keras.utils.set_random_seed(0)
random = np.random.default_rng(0)
points = random.normal(size=(64, 4)).astype("float32")
classes = random.integers(0, 3, 64)

inputs = keras.Input((4,))
x = layers.BatchNormalization(name="norm")(layers.Dense(8, name="hidden")(inputs))
model = keras.Model(inputs, layers.Dense(3, name="head")(layers.Dropout(0.3)(x)))
optimizer = keras.optimizers.SGD(0.1, weight_decay=0.01, global_clipnorm=0.01)
optimizer.exclude_from_weight_decay(var_names=["bias"])
model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
model.fit(points, classes, batch_size=16, epochs=2, validation_split=0.25, verbose=0)


class Halves(keras.utils.PyDataset):
    def __len__(self):
        return 2

    def __getitem__(self, index):
        rows = slice(32 * index, 32 * index + 32)
        return points[rows], keras.utils.to_categorical(classes[rows], 3)


def follow(trunk):
    follower = keras.Sequential([trunk, layers.Dense(3)])
    follower.compile("adam", keras.losses.CategoricalCrossentropy(from_logits=True))
    follower.fit(Halves(), verbose=0)


calibrated = keras.Sequential([keras.Input((4,)), layers.Dense(5), layers.BatchNormalization()])
calibrated(points, training=True)
follow(calibrated)
loaded = keras.Sequential([keras.Input((4,)), layers.Dense(5), layers.BatchNormalization()])
loaded.set_weights(calibrated.get_weights())
follow(loaded)
