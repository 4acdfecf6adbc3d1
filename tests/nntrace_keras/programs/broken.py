"""Small models, each of which breaks in a way of its own; one run each on the backend that
KERAS_BACKEND names.

Its argument is the folder of the runs.
"""

import sys
from pathlib import Path

import keras
import numpy as np
from keras import layers, ops

import nntrace

INPUTS = np.random.default_rng(0).normal(size=(64, 6)).astype("float32")
TARGETS = np.abs(INPUTS[:, :1])


class Exponential(layers.Layer):
    def call(self, inputs):
        return ops.exp(inputs * 1000.0)


class Root(layers.Layer):
    def call(self, inputs):
        return ops.sqrt(ops.relu(inputs) * 0.0)


class Growing(layers.Layer):
    def call(self, inputs):
        return ops.exp(inputs)


class Beside(layers.Layer):
    def call(self, inputs):
        return inputs + 0.0 * ops.exp(ops.stop_gradient(inputs))


def error(target, prediction):
    return ops.mean(ops.square(target - prediction))


def unbounded(target, prediction):
    return -ops.mean(prediction)


def divided(target, prediction):
    return ops.mean(prediction / (target - target))


def spoilt(array, *place):
    array = array.copy()
    array[place] = np.nan
    return array


def fitted(between, loss=error, inputs=INPUTS, targets=TARGETS, optimizer=None, epochs=1):
    keras.utils.set_random_seed(0)
    parts = [layers.Dense(8, name="first"), *between, layers.Dense(1, name="head")]
    model = keras.Sequential([keras.Input((6,)), *parts])
    model.compile(optimizer or keras.optimizers.SGD(0.01), loss)
    model.fit(inputs, targets, batch_size=16, epochs=epochs, verbose=0, shuffle=False)


def recurrent():
    return [layers.Reshape((4, 2)), layers.SimpleRNN(4, activation=ops.exp, name="recurrent")]


PROGRAMS = {
    "layer": lambda: fitted([Exponential(name="exponential")]),
    "loss": lambda: fitted([], divided),
    "derivative": lambda: fitted([Root(name="root")]),
    "input": lambda: fitted([], inputs=spoilt(INPUTS, 40, 2)),
    "target": lambda: fitted([], "mse", targets=spoilt(TARGETS, 41, 0)),
    "later": lambda: fitted(
        [Beside(name="beside")], unbounded, optimizer=keras.optimizers.Adam(0.3), epochs=60
    ),
    "gradient": lambda: fitted(
        [Growing(name="growing")], unbounded, optimizer=keras.optimizers.Adam(0.3), epochs=20
    ),
    "loop": lambda: fitted(recurrent()),
    "update": lambda: fitted(
        [], targets=100.0 * TARGETS, optimizer=keras.optimizers.SGD(3e38), epochs=1
    ),
}

for name, program in PROGRAMS.items():
    with nntrace.start(out=Path(sys.argv[1]) / name, every=1000):
        program()
