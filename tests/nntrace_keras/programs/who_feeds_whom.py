"""Trains a model that rectifies between its layers, and looks back past them without a gradient.

Its argument is the run folder.
"""

import sys

import keras
import numpy as np
from keras import layers, ops

import nntrace

nntrace.start(out=sys.argv[1], every=1)
keras.utils.set_random_seed(0)


class Net(keras.Model):
    def __init__(self):
        super().__init__(name="net")
        self.first = layers.Dense(8, name="first")
        self.drop = layers.Dropout(0.2, name="drop")
        self.shared = layers.Dense(8, activation="tanh", name="shared")
        self.read = layers.GRU(4, name="read")
        self.head = layers.Dense(1, name="head")

    def call(self, inputs, training=False):
        first = self.first(inputs)
        hidden = self.shared(self.shared(self.drop(ops.relu(first), training=training)))
        read = self.read(ops.reshape(hidden, (-1, 4, 2)))
        return self.head(read) + ops.mean(ops.stop_gradient(first), axis=-1, keepdims=True)


inputs = np.random.default_rng(0).normal(size=(32, 6)).astype("float32")
net = Net()
net.compile(keras.optimizers.SGD(0.01), "mse")
net.fit(inputs, inputs[:, :1], batch_size=16, epochs=1, verbose=0)
