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


class Cut:
    """A loop whose gradients are computed by a function, and taken by an optimizer elsewhere."""

    def __init__(self, returns_loss: bool = True) -> None:
        self.model, self.optimizer = net(), keras.optimizers.SGD(RATE)
        self.variables = self.model.trainable_variables
        self.losses: list[float] = []
        self.sums = [tf.Variable(tf.zeros_like(one), trainable=False) for one in self.variables]
        self.gradients = tf.function(self._gradients)
        self.add = tf.function(self._add)
        self.apply = lambda gradients: self.optimizer.apply(gradients, self.variables)
        self.returns_loss = returns_loss

    def _gradients(self, examples):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(self.model(examples, training=True) ** 2)
        given_back = loss if self.returns_loss else 2 * loss
        return given_back, tape.gradient(loss, self.variables)

    def _add(self, examples):
        loss, gradients = self._gradients(examples)
        for total, gradient in zip(self.sums, gradients, strict=True):
            total.assign_add(gradient)
        return loss

    def step(self):
        loss, gradients = self.gradients(INPUTS)
        self.losses.append(float(loss))
        self.apply(gradients)


def in_a_function(cut):
    cut.apply = tf.function(cut.apply)


def eagerly(_):
    pass


def by_hand(cut):
    def apply(gradients):
        for variable, gradient in zip(cut.variables, gradients, strict=True):
            variable.assign_sub(RATE * gradient)

    cut.apply = apply


@pytest.mark.parametrize("applied", [eagerly, in_a_function, by_hand])
def test_the_gradients_of_a_function_are_a_step_where_they_are_applied(applied, trace_keras):
    cut = Cut()
    applied(cut)
    trace = trace_keras(lambda: [cut.step() for _ in range(CALLS)])
    assert_updates_follow_the_gradients(trace)
    np.testing.assert_allclose(trace.steps.loss, cut.losses, rtol=1e-6)
    assert trace.steps.batch_size.tolist() == [len(INPUTS)] * CALLS


def test_a_loss_that_the_function_of_the_gradients_does_not_return_is_unknown(trace_keras):
    cut = Cut(returns_loss=False)
    trace = trace_keras(lambda: [cut.step() for _ in range(CALLS)])
    assert_updates_follow_the_gradients(trace)
    assert np.isnan(trace.steps.loss).all()


@pytest.mark.parametrize("applied", [eagerly, in_a_function])
def test_gradients_that_a_function_adds_up_are_the_micro_batches_of_one_step(applied, trace_keras):
    cut = Cut()
    applied(cut)

    def step():
        cut.losses.append(sum(float(cut.add(part)) for part in np.split(INPUTS, 2)))
        cut.apply(cut.sums)
        for total in cut.sums:
            total.assign(tf.zeros_like(total))

    trace = trace_keras(lambda: [step() for _ in range(CALLS)])
    assert_updates_follow_the_gradients(trace)
    np.testing.assert_allclose(trace.steps.loss, cut.losses, rtol=1e-6)
    assert trace.steps.batch_size.tolist() == [len(INPUTS)] * CALLS


def test_gradients_that_are_only_looked_at_do_not_count_after_a_step_of_a_function(trace_keras):
    cut = Cut()
    cut.model.compile(cut.optimizer, "mse", jit_compile=False)
    targets = np.zeros((len(INPUTS), 1), "float32")

    def train():
        cut.gradients(INPUTS)
        history = cut.model.fit(INPUTS, targets, batch_size=16, shuffle=False, verbose=0)
        cut.losses += history.history["loss"]
        cut.step()

    trace = trace_keras(train)
    np.testing.assert_allclose(trace.steps.loss, cut.losses, rtol=1e-6)
    assert trace.steps.batch_size.tolist() == [len(INPUTS)] * 2
