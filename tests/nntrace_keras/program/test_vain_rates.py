"""`model.optimizer.lr = 1e-4` changes nothing in Keras 3, and is noticed."""

import linecache

import keras
import numpy as np
import pytest
from tracing import payloads

from nntrace.schema import EventKind


class OfKeras2(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        self.model.optimizer.lr = 0.1 * 0.5**epoch


class OfBoth(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        optimizer = self.model.optimizer
        optimizer.lr = optimizer.learning_rate = 0.1 * 0.5**epoch


def told(trace_keras, callback, optimizer=None, **settings):
    def train():
        keras.utils.set_random_seed(1)
        x = np.random.default_rng(0).normal(size=(64, 6)).astype("float32")
        model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(1)])
        model.compile(optimizer or keras.optimizers.SGD(0.1), "mse", **settings)
        model.fit(x, x[:, :1], epochs=3, batch_size=16, callbacks=[callback], verbose=0)

    return payloads(trace_keras(train), EventKind.VAIN_SETTING)


def test_the_name_that_keras_2_had_for_the_rate_is_told_once(trace_keras):
    [answer] = told(trace_keras, OfKeras2())
    assert (answer["setting"], answer["value"]) == ("lr", 0.05)
    assert answer["in_force"] == pytest.approx(0.1)
    assert linecache.getline(answer["file"], answer["line"]).strip() == (
        "self.model.optimizer.lr = 0.1 * 0.5**epoch"
    )


def test_the_rate_under_both_names_is_right(trace_keras):
    assert told(trace_keras, OfBoth()) == []


def test_under_a_schedule_the_rate_is_not_asked(trace_keras):
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9)
    assert told(trace_keras, OfKeras2(), keras.optimizers.SGD(schedule)) == []


def test_an_optimizer_of_the_programs_own_may_read_its_attributes(trace_keras):
    class Own(keras.optimizers.SGD):
        pass

    assert told(trace_keras, OfKeras2(), Own(0.1)) == []
