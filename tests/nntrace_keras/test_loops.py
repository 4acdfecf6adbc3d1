"""What is seen around the steps of a loop of one's own: evaluations, waiting, steps left out."""

import time

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from nntrace_keras.data.waits import DataWaits
from nntrace_keras.tape.idling import IdleWatch
from nntrace_keras.tape.under_tape import Calls, Gradient

from nntrace.schema import EventKind

WAIT_S = 0.05


def net() -> keras.Model:
    keras.utils.set_random_seed(0)
    parts = [layers.Dense(4), layers.BatchNormalization(), layers.Dropout(0.5), layers.Dense(1)]
    return keras.Sequential([layers.Input((3,)), *parts])


def batches() -> tf.data.Dataset:
    inputs = np.random.default_rng(0).normal(size=(24, 3)).astype("float32")

    def slowly(row):
        time.sleep(WAIT_S / 8)
        return row

    data = tf.data.Dataset.from_tensor_slices(inputs)
    data = data.map(lambda row: tf.numpy_function(slowly, [row], tf.float32))
    return data.map(lambda row: tf.ensure_shape(row, (3,))).batch(8)


def test_evaluations_between_the_steps_are_passes_and_waiting_for_tf_data_is_timed(trace_keras):
    model, optimizer, data = net(), keras.optimizers.SGD(0.1), batches()

    @tf.function
    def step(batch):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(model(batch, training=True) ** 2)
        variables = model.trainable_variables
        optimizer.apply(tape.gradient(loss, variables), variables)

    @tf.function
    def evaluate(batch):
        return model(batch, training=True)

    def train():
        for _ in range(2):
            for batch in data:
                step(batch)
            for _ in range(3):
                evaluate(tf.ones((5, 3)))
            model(np.zeros((2, 3), "float32"))
            layers.Dense(2)(np.zeros((2, 3)))  # does not train

    trace = trace_keras(train)
    events = trace.events_of(EventKind.EVALUATION)
    assert [event.step for event in events] == [3, 3, 6, 6]
    by_function, eager, again, _ = [event.payload for event in events]
    assert (by_function["calls"], by_function["examples"], eager["examples"]) == (3, 15, 2)
    assert (by_function["training"], eager["training"]) == (True, False)
    assert (by_function["dropout_active"], by_function["norm_active"]) == (1, 1)
    assert (eager["dropout_inactive"], eager["norm_inactive"]) == (1, 1)
    assert (by_function["input_mean"], by_function["input_shape"]) == (1.0, [5, 3])
    assert (again["group"], again["number"]) == (by_function["group"], 1)
    assert by_function["file"] == __file__
    assert np.isfinite(trace.steps.data_wait_ns).all()
    assert trace.steps.data_wait_ns[0] >= 0.9e9 * WAIT_S  # the next ones may be fetched ahead


def test_fit_says_how_long_it_waits(trace_keras):
    model, data = net(), batches()
    model.compile("sgd", "mse", jit_compile=False)
    fitted = data.map(lambda row: (row, row[:, :1])).repeat(4)
    steps = trace_keras(lambda: model.fit(fitted, shuffle=False, verbose=0)).steps
    known = np.isfinite(steps.data_wait_ns)
    assert known.any()
    assert (steps.data_wait_ns[known] <= steps.duration_ns[known]).all()


def test_an_iterator_that_is_not_tuned_says_nothing():
    waits = DataWaits(lambda hook: hook)
    options = tf.data.Options()
    options.autotune.enabled = False
    assert waits.take() is None
    undos = waits.install()
    try:
        iterator = iter(tf.data.Dataset.range(4).with_options(options))
        next(iterator)
    finally:
        for undo in undos:
            undo()
    assert waits.take() > 0
    assert waits.take() == 0


class Noted:
    """A recorder that keeps its events."""

    def __init__(self):
        self.steps, self.opened, self.events = 0, False, []

    def add_event(self, kind, payload, **_):
        self.events.append((kind, payload))

    def open(self):
        self.opened = True


@pytest.mark.parametrize(("changes", "found"), [(False, [32, 36, 40]), (True, [])])
def test_gradients_that_change_nothing_are_noted_once_there_are_many(changes, found):
    recorder, weight = Noted(), tf.Variable([1.0, 2.0])
    watch = IdleWatch(recorder)
    for _ in range(40):
        watch.differentiated([Gradient([], [weight], [None], Calls(), [])])
        if changes:
            weight.assign_add([1.0, 1.0])
    assert [payload["backwards"] for _, payload in recorder.events] == found
    assert recorder.opened is bool(found)


def test_the_gradient_of_an_input_is_nobodys_to_apply():
    recorder = Noted()
    watch = IdleWatch(recorder)
    for _ in range(40):
        watch.differentiated([Gradient([], [tf.zeros(3)], [None], Calls(), [])])
    assert recorder.events == []


def test_a_function_with_gradients_that_nothing_applies_leaves_a_trace(trace_keras):
    model = net()

    @tf.function
    def step(batch):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(model(batch, training=True) ** 2)
        return tape.gradient(loss, model.trainable_variables)

    trace = trace_keras(lambda: [step(tf.ones((2, 3))) for _ in range(33)])
    (idle,) = trace.events_of(EventKind.IDLE)
    assert (len(trace.steps), idle.payload["backwards"], idle.payload["file"]) == (0, 32, __file__)


def test_predictions_that_an_eager_loop_compares_with_all_targets_are_told_of_once(trace_keras):
    model, optimizer = net(), keras.optimizers.SGD(0.01)
    inputs = np.random.default_rng(0).normal(size=(16, 3)).astype("float32")

    def train():
        for _ in range(3):
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean((inputs[:, 0] - model(inputs, training=True)) ** 2)
            variables = model.trainable_variables
            optimizer.apply(tape.gradient(loss, variables), variables)

    [objective] = trace_keras(train).events_of(EventKind.OBJECTIVE)
    assert objective.payload["broadcast"] == [[16, 1], [16, 16]]
    assert objective.payload["file"] == __file__


def test_gradients_that_are_gathered_for_a_step_which_never_comes_are_told_of(trace_keras):
    model = net()
    optimizer = keras.optimizers.SGD(0.1, gradient_accumulation_steps=8)
    model.compile(optimizer, "mse", jit_compile=False)
    inputs = np.random.default_rng(0).normal(size=(24, 3)).astype("float32")
    trace = trace_keras(lambda: model.fit(inputs, inputs[:, :1], batch_size=4, verbose=0))
    [idle] = trace.events_of(EventKind.IDLE)
    assert (len(trace.steps), idle.payload) == (0, {"backwards": 6, "needed": 8})


def test_gradients_of_which_a_step_was_made_are_not(trace_keras):
    model = net()
    optimizer = keras.optimizers.SGD(0.1, gradient_accumulation_steps=4)
    model.compile(optimizer, "mse", jit_compile=False)
    inputs = np.random.default_rng(0).normal(size=(24, 3)).astype("float32")
    trace = trace_keras(lambda: model.fit(inputs, inputs[:, :1], batch_size=4, verbose=0))
    assert not trace.events_of(EventKind.IDLE)
    assert len(trace.steps) == 1
