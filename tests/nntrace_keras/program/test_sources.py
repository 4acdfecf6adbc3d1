"""Which line of the program is named: that which chose what is wrong, not that which runs it."""

import linecache

import keras
import pytest
import tensorflow as tf
from keras_programs import blobs, mlp

from nntrace.schema import EventKind


def error(y_true, y_pred):
    return keras.losses.MeanAbsoluteError()(y_true, y_pred)


def line_of(trace, kind):
    payload = trace.events_of(kind)[-1].payload
    assert payload["file"] == __file__
    return linecache.getline(__file__, payload["line"]).strip()


@pytest.mark.parametrize("eagerly", [False, True])
def test_a_loss_that_fit_calls_was_chosen_by_compile(trace_keras, eagerly):
    def train():
        model = mlp(classes=1)
        model.compile("sgd", loss="mse", run_eagerly=eagerly, jit_compile=False)  # chosen
        model.fit(*blobs(), verbose=0)

    assert line_of(trace_keras(train), EventKind.LOSS_CALL).endswith("# chosen")


def test_a_loss_that_a_function_of_the_programs_calls_is_called_there(trace_keras):
    def train():
        model = mlp(classes=1)
        model.compile("sgd", loss=error, jit_compile=False)
        model.fit(*blobs(), verbose=0)

    events = trace_keras(train).events_of(EventKind.LOSS_CALL)
    places = [event.payload["line"] for event in events]
    assert error.__code__.co_firstlineno + 1 in places


@pytest.mark.parametrize("wrap", [tf.function, lambda step: step])
def test_the_mode_of_a_model_is_chosen_where_it_is_called(trace_keras, wrap):
    model, optimizer = mlp(), keras.optimizers.SGD(0.1)
    inputs, _ = blobs()

    @wrap
    def step():
        with tf.GradientTape() as tape:
            outputs = model(inputs)  # called
            loss = tf.reduce_mean(outputs**2)
        variables = model.trainable_variables
        optimizer.apply(tape.gradient(loss, variables), variables)

    trace = trace_keras(lambda: [step() for _ in range(3)])
    assert line_of(trace, EventKind.MODE).endswith("# called")


def test_gradients_that_nothing_applies_are_named_where_they_are_asked_for(trace_keras):
    model = mlp()
    inputs, _ = blobs()

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(model(inputs, training=True) ** 2)
        return tape.gradient(loss, model.trainable_variables)  # asked for

    trace = trace_keras(lambda: [step() for _ in range(40)])
    assert line_of(trace, EventKind.IDLE).endswith("# asked for")
