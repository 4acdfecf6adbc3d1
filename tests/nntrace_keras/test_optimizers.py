"""Optimizers that one line builds again and again."""

import keras
import numpy as np
from keras import layers

from nntrace.schema import EventKind


def program():
    keras.utils.set_random_seed(0)
    x = np.ones((8, 3), "float32")
    models = [keras.Sequential([layers.Input((3,)), layers.Dense(1)]) for _ in range(2)]
    for model in (models[0], models[0], models[1], models[0]):
        model.compile(keras.optimizers.Adam(0.1), "mse", run_eagerly=True)
        model.fit(x, x[:, :1], batch_size=8, verbose=0)


def test_an_optimizer_built_again_for_the_same_weights_is_counted(trace_keras):
    built = [event.payload for event in trace_keras(program).events_of(EventKind.OPTIMIZER)]
    assert [one["built"] for one in built] == [1, 2, 1, 3]
    assert [one["replaces"] for one in built] == [None, "Adam", None, "Adam"]
