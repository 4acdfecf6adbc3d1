"""What a graph was given at its last steps is held without a copy, and found by how long ago."""

import keras
import pytest
import tensorflow as tf
from nntrace_keras.graphs import recent as module
from nntrace_keras.graphs.recent import Recent

from nntrace.schema import EventKind


def training(ring, features=3):
    """A function that keeps its batch: the number of the step, and a vector of it."""

    @tf.function(input_signature=[tf.TensorSpec((), tf.int64)])
    def step(number):
        ring.keep({"features": tf.fill([features], number), "number": number})

    return step


@pytest.fixture
def ring():
    return Recent({"number": tf.int64, "features": tf.int64})


def numbers(ring, steps):
    """The numbers of the last steps as far as they are held, the last one first."""
    found = [ring.of(ago) for ago in range(steps)]
    held = [values for values in found if values]
    assert all((one["features"].numpy() == one["number"].numpy()).all() for one in held)
    return [int(values["number"]) if values else None for values in found]


def test_the_last_two_batches_are_held_before_their_size_is_known(ring):
    step = training(ring)
    for number in range(5):
        step(tf.constant(number, tf.int64))
    assert ring.of(2) == {}
    assert int(ring.of(1)["number"]) == 3


def test_of_small_batches_as_many_are_held_as_steps_go_unread_and_one_before_them(ring):
    step = training(ring)
    step(tf.constant(0, tf.int64))
    ring.of(0)
    for number in range(100):
        step(tf.constant(number, tf.int64))
    assert ring.steps == 33
    assert numbers(ring, 35) == [*range(99, 66, -1), None, None]


def test_of_large_batches_fewer_are_held(ring, monkeypatch):
    monkeypatch.setattr(module, "_MOST_BYTES", 8 * 9 * 5)
    step = training(ring, features=8)
    step(tf.constant(0, tf.int64))
    ring.of(0)
    for number in range(9):
        step(tf.constant(number, tf.int64))
    assert ring.steps == 5
    assert numbers(ring, 6) == [8, 7, 6, 5, 4, None]


def test_a_graph_that_gets_other_inputs_keeps_nothing_here(ring):
    @tf.function(input_signature=[tf.TensorSpec((), tf.int64)])
    def step(number):
        assert not ring.keep({"number": number})

    step(tf.constant(0, tf.int64))
    assert ring.of(0) == {}


def test_a_graph_of_xlas_that_calls_a_training_function_runs_as_without_nntrace(trace_keras):
    def program():
        weights = tf.Variable([2.0, 3.0])
        optimizer = keras.optimizers.SGD(0.1)

        @tf.function
        def train(inputs):
            with tf.GradientTape() as tape:
                loss = tf.reduce_sum(tf.square(weights * inputs))
            optimizer.apply([tape.gradient(loss, weights)], [weights])
            return loss

        @tf.function(jit_compile=True)
        def outer(inputs):
            return train(2.0 * inputs)

        for _ in range(12):
            outer(tf.constant([0.5, 0.25]))
        return weights.numpy().tolist()

    untraced = program()
    found = []
    trace = trace_keras(lambda: found.append(program()))
    assert found == [untraced]
    assert len(trace.steps) == 12
    (unseen,) = trace.events_of(EventKind.UNSEEN)
    assert "only known inside of a function" in unseen.payload["reason"]
