"""Whether `fit` trains what is marked as trainable is seen where that was changed between fits."""

import keras
import numpy as np
import pytest
from keras import layers
from tracing import payloads

from nntrace.schema import EventKind


def base_and_head():
    inner = [keras.Input((6,)), layers.Dense(8, activation="tanh", name="inner")]
    base = keras.Sequential(inner, name="base")
    return base, keras.Sequential([base, layers.Dense(1, name="head")])


def told(trace):
    return payloads(trace, EventKind.TRAINABLE)


def fit(model, **settings):
    x = np.random.default_rng(0).normal(size=(64, 6)).astype("float32")
    model.fit(x, x[:, :1], batch_size=16, epochs=2, verbose=0, **settings)


def phases(first, then, *, compiled_again, **settings):
    def train():
        keras.utils.set_random_seed(1)
        base, model = base_and_head()
        base.trainable = first
        model.compile("sgd", "mse", **settings)
        fit(model)
        base.trainable = then
        if compiled_again:
            model.compile("sgd", "mse", **settings)
        fit(model)

    return train


def test_a_base_that_is_unfrozen_without_compiling_is_never_trained(trace_keras):
    [answer] = told(trace_keras(phases(False, True, compiled_again=False)))
    assert any("inner/kernel" in path for path in answer["never_trained"])
    assert not answer["still_trained"]
    assert answer["file"] == __file__


def test_a_base_that_is_frozen_without_compiling_is_still_trained(trace_keras):
    [answer] = told(trace_keras(phases(True, False, compiled_again=False)))
    assert any("inner/kernel" in path for path in answer["still_trained"])
    assert not answer["never_trained"]


@pytest.mark.parametrize("flags", [(False, True), (True, False), (True, True)])
def test_after_compiling_again_all_is_as_it_is_marked(trace_keras, flags):
    assert not told(trace_keras(phases(*flags, compiled_again=True)))


def test_a_step_that_is_no_graph_follows_the_flags_at_once(trace_keras):
    train = phases(True, False, compiled_again=False, run_eagerly=True)
    assert not told(trace_keras(train))


def test_flags_changed_before_the_first_fit_count(trace_keras):
    def train():
        keras.utils.set_random_seed(1)
        base, model = base_and_head()
        model.compile("sgd", "mse")
        base.trainable = False
        fit(model)
        fit(model)

    assert not told(trace_keras(train))


def base_with_a_norm_told_to_infer(*, unfrozen):
    def train():
        keras.utils.set_random_seed(1)
        inside = [keras.Input((6,)), layers.Dense(4), layers.BatchNormalization(name="norm")]
        base = keras.Sequential(inside, name="base")
        base.trainable = unfrozen
        given = keras.Input((6,))
        model = keras.Model(given, layers.Dense(1)(base(given, training=False)))
        model.compile("sgd", "mse")
        fit(model)

    return train


def test_a_norm_that_was_told_to_infer_and_counts_statistics_all_the_same_is_named(trace_keras):
    [answer] = told(trace_keras(base_with_a_norm_told_to_infer(unfrozen=True)))
    assert [path.split("/")[-2:] for path in answer["overruled"]] == [["norm", "moving_mean"]]
    assert not answer["still_trained"]
    assert not answer["never_trained"]


def test_a_frozen_norm_infers_as_it_was_told(trace_keras):
    assert not told(trace_keras(base_with_a_norm_told_to_infer(unfrozen=False)))
