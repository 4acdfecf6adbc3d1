"""The second computation of a step gives what the step itself computed, however a graph makes it.

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


def net(width=1):
    return keras.Sequential([layers.Input((4,)), layers.Dense(8, "tanh"), layers.Dense(width)])


def inputs(count=16):
    return np.random.default_rng(0).normal(size=(count, 4)).astype("float32")


def stepper(model, loss, optimizer=None):
    optimizer = optimizer or keras.optimizers.SGD(RATE)

    def step(examples):
        with tf.GradientTape() as tape:
            value = loss(model(examples, training=True))
        variables = model.trainable_variables
        optimizer.apply(tape.gradient(value, variables), variables)
        return value

    return step


def squared(predictions):
    return tf.reduce_mean(predictions**2)


def random_numbers():
    def loss(predictions):
        noise = tf.random.normal(tf.shape(predictions))
        return tf.reduce_mean(noise * predictions**2)

    run = tf.function(stepper(net(), loss))
    for _ in range(CALLS):
        run(inputs())


def results_of_python():
    drawn = np.random.default_rng(0)

    def loss(predictions):
        factor = tf.numpy_function(lambda: drawn.normal(), [], tf.float64)
        return tf.reduce_mean(predictions**2) * tf.cast(tf.ensure_shape(factor, []), tf.float32)

    run = tf.function(stepper(net(), loss))
    for _ in range(CALLS):
        run(inputs())


def a_loop_in_the_graph():
    step = stepper(net(), squared)
    data = tf.data.Dataset.from_tensor_slices(inputs(48)).batch(16)

    @tf.function
    def epoch():
        for examples in data:
            step(examples)

    for _ in range(CALLS):
        epoch()


def a_function_called_several_times_by_another():
    step = tf.function(stepper(net(), squared))

    @tf.function
    def run(examples):
        for part in tf.split(examples, 3):
            step(part)

    for _ in range(CALLS + 1):
        run(inputs(48))


def several_steps_of_an_optimizer_in_one_graph():
    step = stepper(net(), squared)

    @tf.function
    def run(examples):
        for part in tf.split(examples, 3):
            step(part)

    for _ in range(CALLS):
        run(inputs(48))


def a_second_optimizer_that_depends_on_the_first():
    model = net(4)
    other = net()
    one = stepper(model, squared)

    @tf.function
    def run(examples):
        one(examples)
        stepper_of_other(model(examples))

    stepper_of_other = stepper(other, squared)
    for _ in range(CALLS):
        run(inputs())


def a_variable_that_is_written_first():
    count = tf.Variable(0.0)

    def loss(predictions):
        count.assign_add(1.0)
        return count * tf.reduce_mean(predictions**2) / 10

    run = tf.function(stepper(net(), loss))
    for _ in range(CALLS):
        run(inputs())


def compiled_by_xla():
    run = tf.function(stepper(net(), squared), jit_compile=True)
    for _ in range(CALLS):
        run(inputs())


WAYS = [
    random_numbers,
    results_of_python,
    a_loop_in_the_graph,
    a_function_called_several_times_by_another,
    several_steps_of_an_optimizer_in_one_graph,
    a_second_optimizer_that_depends_on_the_first,
    a_variable_that_is_written_first,
    compiled_by_xla,
]


@pytest.mark.parametrize("way", WAYS, ids=[way.__name__ for way in WAYS])
def test_the_sampled_gradient_is_the_one_that_was_applied(trace_keras, way):
    keras.utils.set_random_seed(0)
    trace = trace_keras(way)
    updates = trace.sites_of(Role.UPDATE)
    assert len(updates) >= 4
    for update in updates:
        gradient = trace.site(update.path, Role.PARAM_GRAD)
        for statistic in ("rms", "mean"):
            changed = trace.series(Role.UPDATE, statistic, update)
            asked = trace.series(Role.PARAM_GRAD, statistic, gradient)
            seen = np.isfinite(changed)
            assert seen.sum() >= CALLS - 1
            expected = asked[seen] * (RATE if statistic == "rms" else -RATE)
            np.testing.assert_allclose(changed[seen], expected, rtol=1e-3, atol=1e-7)
    assert len(trace.sites_of(Role.ACTIVATION)) >= 2
