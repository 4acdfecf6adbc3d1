"""Weights that no optimizer is given, in a program of two models."""

import keras
import pytest
import tensorflow as tf
from keras import layers

from nntrace.rules import get_rule
from nntrace.schema import Role

WRAPPERS = pytest.mark.parametrize("wrap", [tf.function, lambda step: step])


def models():
    keras.utils.set_random_seed(0)
    encoder = keras.Sequential([layers.Input((4,)), layers.Dense(8, name="encoding")])
    return encoder, keras.Sequential([layers.Input((8,)), layers.Dense(1, name="head")])


def train(wrap, *, parts, cut=False, both=False):
    """Five steps; gradients of the second of two models, and of the first where `both`."""
    first, second = parts
    optimizers = keras.optimizers.SGD(0.1), keras.optimizers.SGD(0.1)
    inputs = tf.random.stateless_normal((16, 4), (0, 0))

    @wrap
    def step():
        for model, optimizer in zip((second, first), optimizers, strict=True):
            if model is second or both:
                with tf.GradientTape() as tape:
                    code = first(inputs, training=True)
                    code = tf.stop_gradient(code) if cut else code
                    loss = tf.reduce_mean(second(code, training=True) ** 2)
                variables = model.trainable_variables
                optimizer.apply(tape.gradient(loss, variables), variables)

    for _ in range(5):
        step()


def kinds(trace, path):
    return {site.role for site in trace.sites if site.path.endswith(path)}


@WRAPPERS
def test_weights_through_which_a_gradient_comes_are_read_once_where_nobody_asks_for_theirs(
    trace_keras, wrap
):
    trace = trace_keras(lambda: train(wrap, parts=models()))
    assert kinds(trace, "encoding/kernel") == {Role.PARAM}
    [site] = [s for s in trace.sites_of(Role.PARAM) if s.path.endswith("encoding/kernel")]
    assert site.requires_grad
    values = trace.series(Role.PARAM, "rms", site)
    assert (values > 0).sum() == 1


@WRAPPERS
def test_weights_that_the_loss_does_not_depend_on_are_not_read(trace_keras, wrap):
    trace = trace_keras(lambda: train(wrap, parts=models(), cut=True))
    assert kinds(trace, "encoding/kernel") == set()


@WRAPPERS
def test_weights_that_another_optimizer_steps_are_recorded_with_its_steps(trace_keras, wrap):
    trace = trace_keras(lambda: train(wrap, parts=models(), both=True))
    assert kinds(trace, "encoding/kernel") == {Role.PARAM, Role.PARAM_GRAD, Role.UPDATE}
    [site] = [s for s in trace.sites_of(Role.PARAM) if s.path.endswith("encoding/kernel")]
    assert site.optimizer == "SGD.2"


@WRAPPERS
def test_weights_whose_gradient_is_asked_for_in_vain_are_told_from_those_nobody_asks_for(
    trace_keras, wrap
):
    first, second = models()
    optimizer, inputs = keras.optimizers.SGD(0.1), tf.ones((16, 4))

    @wrap
    def step():
        with tf.GradientTape() as tape:
            code = tf.stop_gradient(first(inputs, training=True))
            loss = tf.reduce_mean(second(code, training=True) ** 2)
        variables = first.trainable_variables + second.trainable_variables
        pairs = zip(tape.gradient(loss, variables), variables, strict=True)
        optimizer.apply_gradients([(g, v) for g, v in pairs if g is not None])

    trace = trace_keras(lambda: [step() for _ in range(6)])
    asked = {site.path for site in trace.sites_of(Role.PARAM_GRAD) if site.requires_grad}
    assert {path.rpartition("/")[2] for path in asked} == {"kernel", "bias"}
    assert all("encoding" in path for path in asked)
    [finding] = get_rule("GRD03").run(trace)
    assert finding.site.path.endswith("encoding/kernel")
