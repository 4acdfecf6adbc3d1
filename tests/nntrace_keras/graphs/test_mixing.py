"""A Keras model whose loss stays where it began is asked whether it mixes its examples."""

import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops
from tracing import payloads

from nntrace.rules import get_rule
from nntrace.schema import EventKind

LENGTH, CHANNELS, BATCH = 12, 3, 16


def turned(x):
    return ops.transpose(ops.reshape(x, (LENGTH, -1, CHANNELS)), (1, 0, 2))


def averaged(x):
    return x - ops.mean(x, axis=0, keepdims=True)


def softmax_of_the_batch(x):
    return ops.softmax(x, axis=0)


def transposed(x):
    return ops.transpose(x, (0, 2, 1))


def flattened_and_back(x):
    rows = ops.reshape(x, (-1, LENGTH))
    return ops.reshape(2 * rows, (-1, CHANNELS, LENGTH))


class Standardised(layers.Layer):
    """A batch norm by hand, with the statistics that its evaluation needs."""

    def build(self, shape):
        self.mean = self.add_weight(shape=shape[1:], initializer="zeros", trainable=False)

    def call(self, x, training=False):
        if not training:
            return x - self.mean
        mean = ops.mean(x, axis=0)
        self.mean.assign(0.9 * self.mean + 0.1 * mean)
        return x - mean


def classifier(function, *, norm=False):
    inputs = keras.Input((CHANNELS, LENGTH))
    part = function if isinstance(function, layers.Layer) else layers.Lambda(function, name="part")
    hidden = layers.Dense(8, activation="relu")(layers.Flatten()(part(inputs)))
    if norm:
        hidden = layers.BatchNormalization()(hidden)
    return keras.Model(inputs, layers.Dense(3, activation="softmax")(layers.Dropout(0.1)(hidden)))


def noise(examples=640):
    """Labels that no input tells: the loss stays at chance."""
    random = np.random.default_rng(0)
    x = random.normal(size=(examples, CHANNELS, LENGTH)).astype("float32")
    return x, random.integers(0, 3, examples)


def trained(model, *, rate=1e-5, data=None, size=BATCH, epochs=3):
    def train():
        keras.utils.set_random_seed(1)
        model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy")
        x, y = data or noise()
        model.fit(x, y, batch_size=size, epochs=epochs, verbose=0)

    return train


def axes(trace):
    return payloads(trace, EventKind.AXES)


@pytest.mark.parametrize(
    ("function", "operation"),
    [
        (turned, "Reshape"),
        (averaged, "Mean"),
        (transposed, None),
        (flattened_and_back, None),
    ],
)
def test_what_mixes_the_examples_is_told_from_what_does_not(trace_keras, function, operation):
    answers = axes(trace_keras(trained(classifier(function))))
    assert [answer["op"] for answer in answers] == [operation] * (operation is not None)


def test_the_finding_points_at_the_line_that_mixes(trace_keras):
    [finding] = get_rule("ACT14").run(trace_keras(trained(classifier(turned))))
    assert finding.location.file == __file__
    assert "ops.reshape(x, (LENGTH" in finding.location.source
    assert finding.location.line == inspect.getsourcelines(turned)[1] + 1
    assert "[12, 16, 3] of [16, 3, 12]" in finding.message


def rows_and_back(x):
    rows = 2 * ops.reshape(x, (-1, LENGTH))
    return ops.transpose(ops.reshape(rows, (CHANNELS, -1, LENGTH)), (1, 0, 2))


def test_rows_of_an_example_that_follow_one_another_are_not_mixed_yet(trace_keras):
    [answer] = axes(trace_keras(trained(classifier(rows_and_back))))
    assert answer["line"] == inspect.getsourcelines(rows_and_back)[1] + 2


def test_a_softmax_over_the_examples_is_told(trace_keras):
    assert axes(trace_keras(trained(classifier(softmax_of_the_batch))))


@pytest.mark.parametrize(("function", "found"), [(turned, 1), (transposed, 0)])
def test_beside_a_batch_norm_only_other_mixing_is_told(trace_keras, function, found):
    assert len(axes(trace_keras(trained(classifier(function, norm=True))))) == found


def test_statistics_kept_for_the_evaluation_mix_by_design(trace_keras):
    assert not axes(trace_keras(trained(classifier(Standardised()))))


def test_a_loss_that_comes_down_is_no_suspicion(trace_keras):
    x, _ = noise()
    data = x, (x[:, 0, 0] > 0).astype(int)
    assert not axes(trace_keras(trained(classifier(averaged), rate=0.01, data=data)))


def test_a_full_batch_may_be_one_graph(trace_keras):
    data = noise(BATCH)
    model = classifier(averaged)
    assert not axes(trace_keras(trained(model, data=data, epochs=60)))


def test_a_comparison_of_all_examples_is_meant(trace_keras):
    inputs = keras.Input((CHANNELS, LENGTH))
    vectors = layers.Dense(8)(layers.Flatten()(inputs))
    pairs = layers.Lambda(lambda v: ops.matmul(v, ops.transpose(v)))(vectors)
    model = keras.Model(inputs, pairs)

    def train():
        keras.utils.set_random_seed(1)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.Adam(1e-6), loss)
        x, _ = noise()
        model.fit(x, np.tile(np.arange(BATCH), 40), batch_size=BATCH, epochs=3, verbose=0)

    assert not axes(trace_keras(train))


def test_what_competes_in_a_gan_is_not_asked(trace_keras):
    model = classifier(averaged)
    first, second = keras.optimizers.SGD(1e-6), keras.optimizers.Adam(1e-6)
    loss = keras.losses.SparseCategoricalCrossentropy()

    def step(optimizer, x, y):
        with tf.GradientTape() as tape:
            value = loss(y, model(x, training=True))
        optimizer.apply(tape.gradient(value, model.trainable_variables), model.trainable_variables)

    def train():
        x, y = noise()
        steps = [tf.function(lambda x, y, o=o: step(o, x, y)) for o in (first, second)]
        for start in range(0, len(x), BATCH):
            for one in steps:
                one(tf.constant(x[start : start + BATCH]), tf.constant(y[start : start + BATCH]))

    assert not axes(trace_keras(train))
