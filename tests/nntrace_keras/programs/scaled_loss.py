"""Trains under a loss scale that grows until float16 overflows. Its argument is the run folder."""

import sys

import keras
import numpy as np
from keras import layers

import nntrace

nntrace.start(out=sys.argv[1], every=1)
keras.utils.set_random_seed(0)
rows = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
body = layers.Dense(4, dtype="mixed_float16")
model = keras.Sequential([layers.Input((4,)), body, layers.Dense(1, dtype="float32")])
scaled = keras.optimizers.LossScaleOptimizer(
    keras.optimizers.SGD(0.01), initial_scale=2.0**15, dynamic_growth_steps=1
)
model.compile(scaled, "mse")
model.fit(rows, np.zeros((64, 1)), batch_size=16, epochs=4, shuffle=False, verbose=0)
