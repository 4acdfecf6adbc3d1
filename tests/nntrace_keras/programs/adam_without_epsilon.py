"""Keras on PyTorch: Adam without an epsilon, and a feature that is always zero."""

import sys

import keras
import numpy as np
from keras import layers

import nntrace

nntrace.start(out=sys.argv[1], every=1)
keras.utils.set_random_seed(0)
points = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
points[:, 0] = 0

model = keras.Sequential([keras.Input((4,)), layers.Dense(3, name="first"), layers.Dense(1)])
model.compile(keras.optimizers.Adam(0.01, epsilon=0.0), "mse")
model.fit(points, points[:, 1:2], batch_size=16, epochs=2, verbose=0)
