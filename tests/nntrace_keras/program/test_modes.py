"""The mode of a step is that of the model whose gradients are asked for."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from nntrace.rules import get_rule
from nntrace.schema import EventKind


def network():
    layers = [keras.Input((8,)), keras.layers.Dense(8), keras.layers.Dropout(0.2)]
    return keras.Sequential([*layers, keras.layers.Dense(2)])


def lessons(*, compiled, student_trains):
    def train():
        keras.utils.set_random_seed(1)
        teacher, student = network(), network()
        x = np.random.default_rng(0).normal(size=(64, 8)).astype("float32")
        teacher.compile("sgd", "mse")
        teacher.fit(x, x[:, :2], epochs=2, verbose=0)
        optimizer = keras.optimizers.SGD(0.01)

        def step(x):
            with tf.GradientTape() as tape:
                wanted = teacher(x, training=False)
                loss = tf.reduce_mean((wanted - student(x, training=student_trains)) ** 2)
            variables = student.trainable_variables
            optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
            return loss

        step = tf.function(step) if compiled else step
        for _ in range(4):
            step(tf.constant(x))

    return train


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("student_trains", [True, False])
def test_a_teacher_in_inference_mode_says_nothing_of_its_student(
    trace_keras, compiled, student_trains
):
    trace = trace_keras(lessons(compiled=compiled, student_trains=student_trains))
    last = trace.events_of(EventKind.MODE)[-1].payload
    assert last["training"] is student_trains
    assert last["dropout_active"] + last["dropout_inactive"] == 1
    assert len(list(get_rule("RUN01").run(trace))) == (not student_trains)


@pytest.mark.parametrize("compiled", [True, False])
def test_a_model_that_is_called_twice_beside_another_has_its_own_mode(trace_keras, compiled):
    def train():
        keras.utils.set_random_seed(1)
        generator, critic = network(), network()
        real = np.random.default_rng(0).normal(size=(64, 8)).astype("float32")
        optimizer = keras.optimizers.SGD(0.01)

        def step(real):
            noise = tf.random.normal((64, 8))
            with tf.GradientTape() as tape:
                made = tf.tile(generator(noise, training=False), (1, 4))
                gap = critic(made, training=True) - critic(real, training=True)
                loss = tf.reduce_mean(gap)
            variables = critic.trainable_variables
            optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
            return loss

        step = tf.function(step) if compiled else step
        for _ in range(4):
            step(tf.constant(real))

    last = trace_keras(train).events_of(EventKind.MODE)[-1].payload
    assert last["training"] is True
    assert last["dropout_inactive"] == 0
