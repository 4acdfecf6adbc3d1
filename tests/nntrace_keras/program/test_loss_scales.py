"""Optimizers that divide gradients by a loss scale by which no loss was multiplied."""

import keras
import pytest
import tensorflow as tf

from nntrace.rules import get_rule
from nntrace.schema import EventKind


def loop(*, scaled, compiled=True, wrapped=True):
    def train():
        keras.utils.set_random_seed(1)
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
        optimizer = keras.optimizers.SGD(0.01)
        if wrapped:
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer)

        def step(x):
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean((model(x) - 1.0) ** 2)
                target = optimizer.scale_loss(loss) if scaled else loss
            gradients = tape.gradient(target, model.trainable_variables)
            optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
            return loss

        step = tf.function(step) if compiled else step
        for _ in range(4):
            step(tf.ones((8, 4)))

    return train


def fitted():
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.01)), "mse")
    model.fit(tf.ones((32, 4)), tf.ones((32, 1)), epochs=2, verbose=0)


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("scaled", [True, False])
def test_a_loop_that_never_scales_its_loss_is_told(trace_keras, scaled, compiled):
    trace = trace_keras(loop(scaled=scaled, compiled=compiled))
    assert len(trace.events_of(EventKind.UNSCALED)) == (not scaled)
    findings = list(get_rule("NUM06").run(trace))
    assert ["never multiplied" in one.message for one in findings] == [True] * (not scaled)
    assert all("apply_gradients" in one.location.source for one in findings)


def test_fit_scales_its_loss(trace_keras):
    assert trace_keras(fitted).events_of(EventKind.UNSCALED) == ()


def test_an_optimizer_without_a_scale_needs_none(trace_keras):
    trace = trace_keras(loop(scaled=False, wrapped=False))
    assert trace.events_of(EventKind.UNSCALED) == ()
