"""Loops whose step is cut into several functions: what is called elsewhere than the tape records.

Under plain gradient descent the true update, which is read off the variables, tells the gradient.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from nntrace.schema import Role

RATE = 0.1
CALLS = 3
INPUTS = np.random.default_rng(0).normal(size=(16, 4)).astype("float32")


def net() -> keras.Model:
    keras.utils.set_random_seed(0)
    parts = [layers.Dense(8, "tanh"), layers.BatchNormalization(), layers.Dropout(0.5)]
    return keras.Sequential([layers.Input((4,)), *parts, layers.Dense(1)])


def assert_updates_follow_the_gradients(trace) -> None:
    assert len(trace.steps.step) == CALLS
    gradients = trace.series(Role.PARAM_GRAD, "rms")
    np.testing.assert_allclose(
        trace.series(Role.UPDATE, "rms"), RATE * gradients, rtol=1e-3, atol=1e-7
    )
    assert np.isfinite(gradients).all()


def model_in_a_function(model):
    forward = tf.function(lambda examples: model(examples, training=True))
    return lambda examples: tf.reduce_mean(forward(examples) ** 2)


def loss_in_a_function(model):
    squared = keras.losses.MeanSquaredError()
    return tf.function(lambda x: squared(tf.zeros((16, 1)), model(x, training=True)))


def model_in_a_loop(model):
    def loss(examples):
        total = tf.constant(0.0)
        for _ in tf.range(3):
            total += tf.reduce_mean(model(examples, training=True) ** 2)
        return total

    return tf.function(loss)


@pytest.mark.parametrize("parts", [model_in_a_function, loss_in_a_function, model_in_a_loop])
@pytest.mark.parametrize("in_graph", [True, False])
def test_a_model_that_a_function_under_the_tape_calls_is_stepped_as_ever(
    parts, in_graph, trace_keras
):
    model, optimizer = net(), keras.optimizers.SGD(RATE)
    loss = parts(model)

    def step(examples):
        with tf.GradientTape() as tape:
            value = loss(examples)
        variables = model.trainable_variables
        optimizer.apply(tape.gradient(value, variables), variables)
        return value

    step = tf.function(step) if in_graph else step
    losses = []
    trace = trace_keras(lambda: losses.extend(float(step(INPUTS)) for _ in range(CALLS)))
    assert_updates_follow_the_gradients(trace)
    np.testing.assert_allclose(trace.steps.loss, losses, rtol=1e-6)
    assert trace.sites_of(Role.ACTIVATION) == ()  # they are not computed again
