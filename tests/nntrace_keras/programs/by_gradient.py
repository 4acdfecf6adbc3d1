"""Trains a regression by plain gradient descent, then a classifier whose softmax is one too many.

Its argument is the run folder.
"""

import sys

import keras
import numpy as np
from keras import layers

import nntrace

nntrace.start(out=sys.argv[1], every=1)
keras.utils.set_random_seed(0)
random = np.random.default_rng(0)
inputs = random.normal(size=(40, 6)).astype("float32")

# A matrix with more weights than are sampled.
hidden = layers.Dense(900, activation="tanh", name="hidden")
regression = keras.Sequential([keras.Input((6,)), hidden, layers.Dense(2, name="out")])
regression.compile(keras.optimizers.SGD(0.01), "mse")
regression.fit(inputs, inputs[:, :2], batch_size=16, epochs=2, verbose=0)

head = layers.Dense(3, activation="softmax", name="head")
classifier = keras.Sequential([keras.Input((6,)), head])
classifier.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
classifier.fit(inputs, np.arange(40) % 3, batch_size=8, epochs=1, verbose=0)
