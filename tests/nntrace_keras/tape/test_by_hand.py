"""Updates without an optimizer: `assign_sub` and its like are the step."""

import numpy as np
import pytest
import tensorflow as tf

from nntrace.schema import Role

INPUTS = np.linspace(-1, 1, 32, dtype="float32").reshape(16, 2)
TARGETS = INPUTS @ np.array([[1.0], [2.0]], "float32") + 0.5


def linear():
    return tf.Variable([[0.1], [0.2]], name="w"), tf.Variable([0.0], name="b")


def loss_of(w, b):
    return tf.reduce_mean(tf.square(tf.matmul(INPUTS, w) + b - TARGETS))


def eager(steps=4):
    w, b = linear()
    for _ in range(steps):
        with tf.GradientTape() as tape:
            loss = loss_of(w, b)
        to_w, to_b = tape.gradient(loss, [w, b])
        w.assign_sub(0.1 * to_w)
        b.assign(b - 0.1 * to_b)
    return w.numpy(), b.numpy()


def in_a_function(steps=4):
    w, b = linear()

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = loss_of(w, b)
        for variable, gradient in zip((w, b), tape.gradient(loss, [w, b]), strict=True):
            variable.assign_add(-0.1 * gradient)
        return loss

    for _ in range(steps):
        step()
    return w.numpy(), b.numpy()


@pytest.mark.parametrize("program", [eager, in_a_function])
def test_assignments_of_all_variables_are_one_step(trace_keras, program):
    bare, traced = program(), []
    trace = trace_keras(lambda: traced.extend(program()))
    assert all(np.array_equal(one, other) for one, other in zip(bare, traced, strict=True))
    assert len(trace.steps) == 4
    w, b = linear()
    assert trace.steps.loss[0] == pytest.approx(float(loss_of(w, b)), rel=1e-5)
    assert trace.steps.loss[-1] < trace.steps.loss[0]
    gradient = trace.series(Role.PARAM_GRAD, "rms", trace.site("w", Role.PARAM_GRAD))
    update = trace.series(Role.UPDATE, "rms", trace.site("w", Role.UPDATE))
    assert update == pytest.approx(0.1 * gradient, rel=1e-4)
