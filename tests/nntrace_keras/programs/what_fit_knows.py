"""What `fit` says of itself on any backend: a schedule, one target for all positions, a layer that
leads nowhere, norms called with `training=False`, and last a model that is frozen.

Its argument is the run folder.
"""

import sys

import keras
import numpy as np
from keras import layers

import nntrace

nntrace.start(out=sys.argv[1], every=1)
keras.utils.set_random_seed(0)
x = np.random.default_rng(0).normal(size=(40, 5, 3)).astype("float32")

norm = keras.Sequential([keras.Input((5, 3)), layers.BatchNormalization(name="norm")])
given = keras.Input((5, 3))
hidden = layers.Dense(4, name="hidden")(norm(given, training=False))
layers.Dense(4, name="nowhere")(hidden)
model = keras.Model(given, layers.Dense(1, name="head")(hidden))
rate = keras.optimizers.schedules.CosineDecay(0.1, 1000)
model.compile(keras.optimizers.SGD(rate), "mse")
model.fit(x, x[:, 0, :1], batch_size=8, epochs=2, validation_data=(x, x[:, 0, :1]), verbose=0)

model.trainable = False
model.compile("sgd", "mse")
model.fit(x, x[:, 0, :1], batch_size=8, epochs=1, verbose=0)
