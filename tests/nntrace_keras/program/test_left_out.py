"""Layers that lead to none of a functional model's outputs, and penalties outside of the loss."""

import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from nntrace.rules import Finding, get_rule
from nntrace.schema import EventKind

KEPT = []  # models that live as long as the process


def forgotten():
    inputs = keras.Input((8,))
    x = layers.Dense(6, activation="relu", name="first")(inputs)
    x = layers.Dense(5, activation="relu", name="second")(x)
    x = layers.Dropout(0.1)(inputs)  # given the inputs again
    return keras.Model(inputs, layers.Dense(1, name="head")(x))


def one_branch_twice():
    one, other = keras.Input((8,)), keras.Input((8,))
    a, b = layers.Dense(4, name="one")(one), layers.Dense(4, name="other")(other)
    assert b is not None
    return keras.Model([one, other], layers.Dense(1)(layers.Concatenate()([a, a])))


def whole():
    inputs = keras.Input((8,))
    x = layers.Dense(6, activation="relu")(inputs)
    return keras.Model(inputs, layers.Dense(1)(layers.Dropout(0.1)(x)))


def with_another_model():
    """The second head is a model of its own, for later."""
    inputs = keras.Input((8,))
    x = layers.Dense(6, activation="relu")(inputs)
    model = keras.Model(inputs, layers.Dense(1)(x))
    KEPT.append(keras.Model(inputs, layers.Dense(2)(x)))
    return model


def grown():
    model = keras.Sequential([keras.Input((8,)), layers.Dense(6)])
    model.add(layers.Dense(3))
    model.pop()
    model.add(layers.Dense(1))
    return model


def with_a_preprocessing_that_is_not_used():
    inputs = keras.Input((8,))
    layers.Rescaling(2.0)(inputs)
    return keras.Model(inputs, layers.Dense(1)(inputs))


def trained(build):
    def train():
        keras.utils.set_random_seed(1)
        model = build()
        model.compile("sgd", "mse")
        x = np.ones((32, 8), "float32")
        given = [x, x] if len(model.inputs) > 1 else x
        model.fit(given, np.ones((32, 1)), batch_size=8, epochs=2, verbose=0)

    return train


@pytest.mark.parametrize(
    ("build", "left_out"),
    [
        (forgotten, [["first", "second"]]),
        (one_branch_twice, [["other"]]),
        (whole, []),
        (with_another_model, []),
        (grown, []),
        (with_a_preprocessing_that_is_not_used, []),
    ],
)
def test_layers_whose_result_is_lost_are_named(trace_keras, build, left_out):
    trace = trace_keras(trained(build))
    assert [e.payload["layers"] for e in trace.events_of(EventKind.LEFT_OUT)] == left_out


def test_the_finding_points_at_the_last_of_them(trace_keras):
    [finding] = get_rule("RUN05").run(trace_keras(trained(forgotten)))
    assert "nothing of first, second reaches the output" in finding.message
    assert finding.location.line == inspect.getsourcelines(forgotten)[1] + 3


def penalised(*, adds_them, regularizer="l2"):
    def train():
        hidden = layers.Dense(3, kernel_regularizer=regularizer, name="hidden")
        model = keras.Sequential([keras.Input((8,)), hidden, layers.Dense(1)], name="net")
        optimizer, error = keras.optimizers.SGD(0.01), keras.losses.MeanSquaredError()

        @tf.function
        def step(inputs):
            with tf.GradientTape() as tape:
                loss = error(tf.ones((8, 1)), model(inputs, training=True))
                if adds_them:
                    loss += tf.add_n(model.losses)
            gradients = tape.gradient(loss, model.trainable_variables)
            optimizer.apply(gradients, model.trainable_variables)

        for _ in range(3):
            step(tf.ones((8, 8)))

    return train


@pytest.mark.parametrize(
    ("train", "left_out"),
    [
        pytest.param(penalised(adds_them=False), [["net/hidden/kernel"]], id="left out"),
        pytest.param(penalised(adds_them=True), [], id="added"),
        pytest.param(penalised(adds_them=False, regularizer=None), [], id="none declared"),
    ],
)
def test_penalties_that_are_no_part_of_the_loss_are_named(trace_keras, train, left_out):
    trace = trace_keras(train)
    assert [e.payload["penalties"] for e in trace.events_of(EventKind.LEFT_OUT)] == left_out
    told = [f for f in get_rule("RUN05").run(trace) if isinstance(f, Finding)]
    assert ["penalties" in finding.message for finding in told] == [True] * len(left_out)
