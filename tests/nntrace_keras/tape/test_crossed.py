"""Pairs given to an optimizer in which gradients of some variables stand beside others."""

import keras
import pytest
import tensorflow as tf
from nntrace_keras.tape.crossed import crossed_pairs
from nntrace_keras.tape.under_tape import Calls, Gradient

from nntrace.rules import get_rule
from nntrace.schema import EventKind


def computed(sources, results):
    return Gradient([], sources, results, Calls(), [])


def test_a_gradient_beside_its_own_variable_is_right():
    a, b = tf.Variable(1.0), tf.Variable(2.0)
    one, other = tf.constant(3.0), tf.constant(4.0)
    assert crossed_pairs([(one, a), (other, b)], [computed([a, b], [one, other])]) == []
    assert crossed_pairs([(other, b), (one, a)], [computed([a, b], [one, other])]) == []


def test_exchanged_gradients_are_named_with_both_variables():
    a, b = tf.Variable(1.0), tf.Variable(2.0)
    one, other = tf.constant(3.0), tf.constant(4.0)
    found = crossed_pairs([(one, b), (other, a)], [computed([a, b], [one, other])])
    assert [(id(owner), id(beside)) for owner, beside in found] == [(id(a), id(b)), (id(b), id(a))]


def test_one_tensor_may_be_the_gradient_of_several_variables():
    a, b, shared = tf.Variable(1.0), tf.Variable(2.0), tf.constant(3.0)
    assert crossed_pairs([(shared, a), (shared, b)], [computed([a, b], [shared, shared])]) == []


def test_gradients_of_a_copy_may_be_meant_for_its_original():
    original, copy, gradient = tf.Variable(1.0), tf.Variable(1.0), tf.constant(3.0)
    assert crossed_pairs([(gradient, original)], [computed([copy], [gradient])]) == []


def test_gradients_that_were_changed_since_are_not_known():
    a, b = tf.Variable(1.0), tf.Variable(2.0)
    one, other = tf.constant(3.0), tf.constant(4.0)
    pairs = [(other * 2.0, a), (one * 2.0, b)]
    assert crossed_pairs(pairs, [computed([a, b], [one, other])]) == []


def two_towers(*, compiled, crossed):
    def train():
        keras.utils.set_random_seed(1)
        left, right = (
            keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)]) for _ in range(2)
        )
        optimizer = keras.optimizers.SGD(0.01)
        mine = left.trainable_variables + right.trainable_variables
        theirs = right.trainable_variables + left.trainable_variables

        def step(x):
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean((left(x) * right(x) - 1.0) ** 2)
            gradients = tape.gradient(loss, mine)
            optimizer.apply_gradients(zip(gradients, theirs if crossed else mine, strict=True))
            return loss

        step = tf.function(step) if compiled else step
        for _ in range(12):
            step(tf.ones((8, 4)))

    return train


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("crossed", [True, False])
def test_the_towers_of_two_are_told_apart(trace_keras, compiled, crossed):
    trace = trace_keras(two_towers(compiled=compiled, crossed=crossed))
    events = trace.events_of(EventKind.CROSSED)
    assert [(e.payload["crossed"], e.payload["variables"]) for e in events] == [(4, 4)] * crossed
    found = [one for one in get_rule("UPD04").run(trace) if "their own" in one.message]
    assert len(found) == crossed
    assert all("apply_gradients" in one.location.source for one in found)
