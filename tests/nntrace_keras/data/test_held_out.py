"""Validation data of `fit` of which some is trained on."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from nntrace.schema import EventKind


def data(examples=320):
    random = np.random.default_rng(0)
    x = random.normal(size=(examples, 6)).astype("float32")
    return x, (x.sum(axis=1) > 0).astype("float32")


def model():
    keras.utils.set_random_seed(1)
    built = keras.Sequential([keras.Input((6,)), layers.Dense(4), layers.Dense(1)])
    built.compile(keras.optimizers.SGD(0.01), "mse")
    return built


def fitted(x, y=None, *, validation, epochs=3):
    def train():
        built = model()
        size = {"shuffle": False} if y is None else {"batch_size": 32}
        built.fit(x, y, validation_data=validation, epochs=epochs, verbose=0, **size)

    return train


def shares(trace):
    """Per data set, how many of the validation's examples were found at last."""
    events = trace.events_of(EventKind.TRAINED_ON)
    found = {e.payload["group"]: (e.payload["seen"], e.payload["examples"]) for e in events}
    return list(found.values())


def test_a_slice_of_the_training_arrays_is_found_whole(trace_keras):
    x, y = data()
    [(seen, examples)] = shares(trace_keras(fitted(x, y, validation=(x[:64], y[:64]))))
    assert seen == examples == 64


def test_arrays_of_other_examples_are_not_found(trace_keras):
    x, y = data()
    train = fitted(x[64:], y[64:], validation=(x[:64], y[:64]))
    assert shares(trace_keras(train)) == []


def test_the_very_arrays_of_the_training_are_meant(trace_keras):
    x, y = data()
    assert shares(trace_keras(fitted(x, y, validation=(x, y)))) == []


@pytest.mark.parametrize("again", [True, False])
def test_a_pipeline_that_is_split_anew_in_each_epoch_is_found(trace_keras, again):
    whole = tf.data.Dataset.from_tensor_slices(data())
    whole = whole.shuffle(320, seed=1, reshuffle_each_iteration=again)
    train = fitted(whole.skip(64).batch(32), validation=whole.take(64).batch(32))
    found = shares(trace_keras(train))
    assert bool(found) is again
    assert all(2 * seen > examples for seen, examples in found)


def folds(model_of_fold):
    x, y = data()

    def train():
        for start in (0, 160):
            held_out = np.arange(len(x)) // 160 == start // 160
            model_of_fold().fit(
                *(x[~held_out], y[~held_out]),
                validation_data=(x[held_out], y[held_out]),
                epochs=2,
                verbose=0,
            )

    return train


def test_a_fold_that_is_trained_on_by_the_next_model_was_held_out(trace_keras):
    assert shares(trace_keras(folds(model))) == []


def test_a_fold_that_the_same_model_was_trained_on_before_was_not(trace_keras):
    built = model()
    [told] = trace_keras(folds(lambda: built)).events_of(EventKind.TRAINED_ON)
    assert told.payload["before"] == told.payload["examples"] > 50


def test_an_evaluation_beside_fit_may_be_of_what_was_trained_on(trace_keras):
    x, y = data()

    def train():
        built = model()
        for _ in range(3):
            built.fit(x, y, verbose=0)
            built.evaluate(x[:64], y[:64], verbose=0)

    assert shares(trace_keras(train)) == []
