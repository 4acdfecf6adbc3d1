"""Layers that a Keras model calls but does not know are never trained, and are reported."""

import keras
import numpy as np
import pytest
from keras import layers

from nntrace.rules import get_rule
from nntrace.schema import Role


class Plain:
    """Holds layers where no model looks for them."""

    def __init__(self, width):
        self.inner = layers.Dense(width, activation="relu", name="inner")

    def __call__(self, x):
        return self.inner(x)


class Block(layers.Layer):
    def __init__(self, width):
        super().__init__(name="block")
        self.inner = layers.Dense(width, activation="relu", name="inner")

    def call(self, x):
        return self.inner(x)


class Net(keras.Model):
    def __init__(self, block):
        super().__init__(name="net")
        self.block = block
        self.head = layers.Dense(1, name="head")

    def call(self, x):
        return self.head(self.block(x))


def trained(kind, **settings):
    def train():
        keras.utils.set_random_seed(1)
        net = Net(kind(256))
        net.compile("sgd", "mse", **settings)
        x = np.random.default_rng(0).normal(size=(256, 32)).astype("float32")
        net.fit(x, x[:, :1], batch_size=16, epochs=2, verbose=0)

    return train


@pytest.mark.parametrize(("kind", "found"), [(Plain, 1), (Block, 0)])
def test_a_layer_that_the_model_does_not_know_is_never_trained(trace_keras, kind, found):
    results = get_rule("UPD04").run(trace_keras(trained(kind)))
    told = [result.message for result in results if hasattr(result, "message")]
    assert len(told) == found
    assert all("inner/kernel" in message for message in told)


def test_its_weights_are_recorded_without_gradient_and_update(trace_keras):
    trace = trace_keras(trained(Plain))
    paths = {role: [s.path for s in trace.sites_of(role)] for role in Role}
    assert "net/inner/kernel" in paths[Role.PARAM]
    assert "net/inner/kernel" not in paths[Role.UPDATE]


def test_a_step_that_is_no_graph_shows_it_as_well(trace_keras):
    results = get_rule("UPD04").run(trace_keras(trained(Plain, run_eagerly=True)))
    assert any("inner/kernel" in getattr(result, "message", "") for result in results)


def test_an_unknown_layer_that_is_frozen_need_not_learn(trace_keras):
    def frozen(width):
        plain = Plain(width)
        plain.inner.trainable = False
        return plain

    assert not any(
        hasattr(result, "message") for result in get_rule("UPD04").run(trace_keras(trained(frozen)))
    )
