"""Calls whose steps are read several at a time."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import SimpleNamespace

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from nntrace_keras.graphs.unread import MOST_UNREAD, Unread, shared_out
from nntrace_keras.nonfinite.graph import GraphOrigins
from tracing import tracing

from nntrace.recorder import Cadence
from nntrace.trace import Trace


def looked_at(unread, function, *, rows=1, room=100, is_quiet=True, inputs=()):
    """How many calls go by until the next look, which finds so many rows for each."""
    count = 1
    while not unread.add(function, None, list(inputs)):
        count += 1
    calls = unread.take()
    unread.looked(calls, rows * len(calls), is_known_later=True, room=room, is_quiet=is_quiet)
    unread._due_ns = 1 << 62  # the clock has a test of its own
    return len(calls)


def function():
    return SimpleNamespace()


def test_looks_become_rarer_while_nothing_happens_and_frequent_when_something_does():
    unread, one = Unread(), function()
    counts = [looked_at(unread, one) for _ in range(7)]
    assert counts == [1, 2, 4, 8, 16, MOST_UNREAD, MOST_UNREAD]
    assert looked_at(unread, one, is_quiet=False) == MOST_UNREAD
    assert looked_at(unread, one) == 1


def test_a_look_comes_in_time_for_the_next_sample():
    unread, one = Unread(), function()
    counts = [looked_at(unread, one, room=3) for _ in range(4)]
    assert counts == [1, 2, 3, 3]


def test_weights_that_the_next_step_begins_with_need_no_look_of_their_own():
    recorder = SimpleNamespace(steps=0)
    origins = GraphOrigins(recorder, None)
    origins.have_weights(0)
    rooms = []
    for recorder.steps in (1, 10, 32, 33):
        rooms.append(origins.room([0]))
    assert rooms == [31, 22, 32, 32]


def test_calls_of_several_steps_or_with_large_batches_are_looked_at_each():
    unread, several = Unread(), function()
    assert [looked_at(unread, several, rows=2) for _ in range(5)] == [1] * 5
    unread, large, batch = Unread(), function(), tf.zeros([1 << 18, 2])
    assert [looked_at(unread, large, inputs=[batch]) for _ in range(5)] == [1] * 5


def test_a_look_is_due_when_it_costs_little_beside_what_went_by():
    unread, one = Unread(), function()
    for _ in range(5):
        looked_at(unread, one)
    unread._due_ns = 0
    assert unread.add(one, None, [])


def test_another_thread_reads_the_calls_of_one_that_is_over_only():
    unread, one = Unread(), function()
    unread.add(one, None, [])
    with ThreadPoolExecutor(1) as threads:
        assert not threads.submit(lambda: unread.may_be_read).result()
        threads.submit(unread.add, one, None, []).result()
        assert not unread.may_be_read
    assert unread.may_be_read


def test_each_call_gets_its_row_whatever_is_missing():
    rows, calls = list("abc"), [None] * 3
    assert [list(part) for part in shared_out(rows, calls)] == [["a"], ["b"], ["c"]]
    assert [list(part) for part in shared_out(rows, calls[:2])] == [["a", "b"], ["c"]]
    assert [list(part) for part in shared_out(rows[:2], calls)] == [[], ["a"], ["b"]]


def test_no_step_is_lost_or_late_however_rarely_the_board_is_read(tmp_path):
    inputs = np.random.default_rng(0).normal(size=(64 * 4, 6)).astype("float32")
    losses = []

    class Losses(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            losses.append(logs["loss"])

    with tracing(tmp_path / "run", framework="keras", every=50) as recorder:
        model = keras.Sequential([keras.Input((6,)), layers.Dense(1)])
        model.compile("sgd", "mse", jit_compile=False)
        callbacks = [Losses()]
        model.fit(inputs, inputs[:, :1], batch_size=4, epochs=2, verbose=0, callbacks=callbacks)
    assert recorder.failure is None
    trace = Trace.open(tmp_path / "run")
    counts = np.tile(np.arange(1, 65), 2)
    expected = np.diff(np.array(losses) * counts, prepend=0.0)
    expected[64] = losses[64]
    np.testing.assert_allclose(trace.steps.loss, expected, rtol=1e-3, atol=1e-5)
    assert np.flatnonzero(trace.steps.sampled).tolist() == [0, 50, 100]
    assert (np.diff(trace.steps.time_ns) > 0).all()
    assert [event.step for event in trace.events if event.kind == "epoch"] == [64, 128]


def test_what_is_recorded_while_a_graph_is_built_comes_after_the_steps_before_it(tmp_path):
    steps = []
    with tracing(tmp_path / "run", framework="keras", every=50) as recorder:
        variable = tf.Variable([1.0])
        optimizer = keras.optimizers.SGD(0.1)

        @tf.function
        def train(inputs):
            recorder.hooks.catch_up()
            steps.append(recorder.steps)
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(tf.square(variable * inputs))
            optimizer.apply([tape.gradient(loss, variable)], [variable])

        for size in (3, 4):
            for _ in range(20):
                train(tf.ones([size]))
    assert recorder.failure is None
    assert steps[-1] == 20


def test_a_pinned_interval_says_how_many_steps_may_be_recorded_late():
    cadence = Cadence(0.02, every=10)
    assert [cadence.room(step) for step in (0, 1, 9, 10, 13)] == [0, 9, 1, 0, 7]
    assert replace(cadence, every=None).room(3) == 0
    assert replace(cadence, every=None).room(300) > 1000
    cadence.burst(2)
    assert cadence.room(1) == 0
