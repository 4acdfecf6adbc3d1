"""Weights that a softmax made over another axis than they are summed over, read off graphs."""

import pytest
import tensorflow as tf
from keras import layers, ops
from nntrace_keras.graphs.dependence import Dependence
from nntrace_keras.graphs.weights import over_another_axis

BATCH, PLACES, WIDTH = None, 12, 6


def found_in(model, shape=(BATCH, PLACES, WIDTH), examples=(None,)):
    """What is found in the mean square of a model's result, with the gradients in the graph."""
    weight = tf.Variable(tf.ones(WIDTH))

    @tf.function
    def step(inputs):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(model(inputs * weight) ** 2)
        gradient = tape.gradient(loss, weight)
        depends = Dependence(tf.compat.v1.get_default_graph(), [weight])
        found.extend(over_another_axis(depends, [loss], set(examples)))
        return gradient

    found = []
    step.get_concrete_function(tf.TensorSpec(shape))
    return [(one.what, one.axis, one.right) for one in found]


def attention(axis, *, turned=False):
    """By hand; `turned` computes the weights as [keys, queries] and turns them for the product."""

    def model(x):
        scores = ops.matmul(x, ops.transpose(2.0 * x, (0, 2, 1))) / 2.5
        weights = tf.nn.dropout(ops.softmax(scores, axis=axis), 0.1)
        if turned:
            weights = ops.transpose(weights, (0, 2, 1))
        return ops.matmul(weights, 3.0 * x)

    return model


@pytest.mark.parametrize("axis", [2, -1])
def test_attention_over_its_keys_is_right(axis):
    assert found_in(attention(axis)) == []


def test_attention_over_its_queries_names_both_axes():
    assert found_in(attention(1)) == [("attention", 1, 2)]


def test_attention_over_the_examples_makes_no_weights():
    assert found_in(attention(0)) == [("weights", 0, 2)]


def test_the_examples_are_known_by_their_number_where_it_is_fixed():
    assert found_in(attention(0), (8, PLACES, WIDTH), examples=(None, 8)) == [("weights", 0, 2)]


def test_weights_are_followed_through_a_transpose():
    assert found_in(attention(1, turned=True)) == []
    assert found_in(attention(2, turned=True)) == [("attention", 1, 2)]


def test_two_products_with_the_same_weights_are_each_looked_at():
    def model(x):
        weights = ops.softmax(ops.matmul(x, ops.transpose(x, (0, 2, 1))), axis=1)
        turned = ops.transpose(weights, (0, 2, 1))
        return ops.matmul(turned, x) + ops.matmul(weights, x)

    assert found_in(model) == [("attention", 1, 2)]


def gate(axis, *, by_einsum=False):
    """Three experts, whose results are weighed and added up."""

    def model(x):
        weights = ops.softmax(x[:, :, :3], axis=axis)
        experts = tf.stack([x, 2.0 * x, 3.0 * x], axis=-1)
        if by_einsum:
            return tf.einsum("npe,npwe->npw", weights, experts)
        return ops.sum(experts * ops.expand_dims(weights, -2), axis=-1)

    return model


@pytest.mark.parametrize("by_einsum", [False, True])
def test_gates_over_the_examples_weigh_nothing(by_einsum):
    [(what, axis, _)] = found_in(gate(0, by_einsum=by_einsum))
    assert (what, axis) == ("weights", 0)


@pytest.mark.parametrize("by_einsum", [False, True])
def test_gates_over_what_they_sum_are_right(by_einsum):
    assert found_in(gate(-1, by_einsum=by_einsum)) == []


def test_a_softmax_over_a_single_score_weighs_nothing():
    def model(x):
        return ops.sum(tf.nn.softmax(x[:, :, :1]) * x, axis=1)

    assert found_in(model) == [("weights", 2, 1)]


def test_places_that_compete_and_are_divided_by_their_sum_are_meant():
    def model(x):
        weights = ops.softmax(ops.matmul(x, ops.transpose(x, (0, 2, 1))), axis=1)
        weights = weights / ops.sum(weights, axis=2, keepdims=True)
        return ops.matmul(weights, x)

    assert found_in(model) == []


def test_what_two_softmaxes_make_together_may_be_of_any_axis():
    def model(x):
        scores = ops.matmul(x, ops.transpose(x, (0, 2, 1)))
        return ops.matmul(ops.softmax(scores, axis=1), ops.softmax(scores, axis=1))

    assert found_in(model) == []


def test_a_mixing_of_places_by_learnt_scores_is_no_attention():
    def model(x):
        return ops.matmul(ops.softmax(2.0 * x, axis=1), tf.ones((WIDTH, 2)) * x[:1, :1, :1])

    assert found_in(model) == []


def test_the_layers_of_keras_are_right():
    attend, pool = layers.MultiHeadAttention(2, 4), layers.Attention()
    additive = layers.AdditiveAttention()
    for model in (lambda x: attend(x, x), lambda x: pool([x, x]), lambda x: additive([x, x])):
        shape = (4, PLACES, WIDTH)
        model(tf.zeros(shape))  # built outside of the function
        assert found_in(model, shape, examples=(None, 4)) == []


def test_cross_entropy_is_a_sum_over_the_classes():
    def model(x):
        shares = ops.softmax(x[:, :, :3], axis=-1)
        return -ops.sum(tf.ones((1, 1, 3)) * ops.log(shares), axis=-1)

    assert found_in(model) == []
