"""A Keras language model is asked whether it sees the next token when its loss is suspicious."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from tracing import payloads

from nntrace.rules import Severity, get_rule
from nntrace.schema import EventKind

TOKENS, LENGTH = 12, 10


def counting(examples=256):
    """Sequences that count up, so that each token tells the next: inputs and targets."""
    start = np.random.default_rng(0).integers(0, TOKENS, examples)
    ids = (start[:, None] + np.arange(LENGTH + 1)) % TOKENS
    return ids[:, :-1], ids[:, 1:]


def reader(kind, *, dropout=0.0):
    """A model that predicts from the token before, or from those around."""
    inputs = keras.Input((LENGTH,))
    hidden = layers.Embedding(TOKENS, 32, name="table")(inputs)
    if dropout:
        hidden = layers.Dropout(dropout)(hidden)
    if kind == "both ways":
        cells = layers.GRU(32, return_sequences=True)
        hidden = layers.Bidirectional(cells, name="reader")(hidden)
    elif kind != "word by word":
        hidden = layers.Conv1D(32, 3, padding=kind, name="reader")(hidden)
    return keras.Model(inputs, layers.Dense(TOKENS, name="head")(hidden))


def trained(model, data=None, *, rate=0.03, **settings):
    """A program that trains it by `fit`."""

    def train():
        keras.utils.set_random_seed(1)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.Adam(rate), loss=loss, **settings)
        inputs, targets = data or counting()
        model.fit(inputs, targets, batch_size=16, epochs=4, verbose=0)

    return train


def causality(trace):
    return payloads(trace, EventKind.CAUSALITY)


@pytest.mark.parametrize(
    ("kind", "found"), [("same", 1), ("both ways", 1), ("causal", 0), ("word by word", 0)]
)
def test_a_model_that_looks_ahead_is_told_from_one_that_does_not(trace_keras, kind, found):
    trace = trace_keras(trained(reader(kind)))
    losses = trace.steps.loss
    assert losses[-1] < 0.25 * losses[0]
    answers = causality(trace)
    assert len(answers) == found
    if found:
        assert answers[0]["depends_on_after"] == LENGTH // 2
        assert answers[0]["layer"].startswith("reader")


def test_the_finding_points_at_the_line_of_the_layer_that_looks_ahead(trace_keras):
    [finding] = get_rule("LOS20").run(trace_keras(lambda: trained(reader("same"))()))
    assert finding.severity is Severity.ERROR
    assert finding.location.file == __file__
    assert "Conv1D" in finding.location.source


def test_dropout_is_no_dependence(trace_keras):
    assert not causality(trace_keras(trained(reader("causal", dropout=0.2))))


def test_a_compiled_step_is_asked_too(trace_keras):
    assert causality(trace_keras(trained(reader("same"), jit_compile=True)))


def test_a_loss_that_stays_high_is_no_suspicion(trace_keras):
    assert not causality(trace_keras(trained(reader("same"), rate=1e-5)))


def test_targets_that_are_not_the_next_inputs_know_no_future(trace_keras):
    inputs, _ = counting()
    assert not causality(trace_keras(trained(reader("same"), (inputs, inputs))))


def test_a_decoder_may_know_its_targets_from_a_source_that_it_copies(trace_keras):
    inputs, targets = counting()
    source, before = keras.Input((LENGTH,)), keras.Input((LENGTH,))
    table = layers.Embedding(TOKENS, 32)
    hidden = layers.Conv1D(32, 3, padding="same")(table(source) + table(before))
    model = keras.Model([source, before], layers.Dense(TOKENS)(hidden))
    assert not causality(trace_keras(trained(model, ([targets, inputs], targets))))


@pytest.mark.parametrize("shifts", [False, True])
def test_a_decoder_that_is_given_its_targets_is_told_unless_it_shifts_them(trace_keras, shifts):
    targets, _ = counting()
    source, given = keras.Input((LENGTH,)), keras.Input((LENGTH,))
    table = layers.Embedding(TOKENS, 32)
    before = layers.ZeroPadding1D((1, 0))(table(given))[:, :-1] if shifts else table(given)
    start = layers.Dense(32)(layers.Flatten()(table(source)))
    hidden = layers.GRU(32, return_sequences=True)(before, initial_state=start)
    model = keras.Model([source, given], layers.Dense(TOKENS)(hidden))
    trace = trace_keras(trained(model, ([targets[:, ::-1], targets], targets)))
    assert [answer["given"] for answer in causality(trace)] == ["input.1"] * (not shifts)


def test_a_function_of_the_programs_own_is_asked_too(trace_keras):
    model, optimizer = reader("same"), keras.optimizers.Adam(0.03)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    @tf.function
    def step(inputs, targets):
        with tf.GradientTape() as tape:
            value = loss(targets, model(inputs, training=True))
        optimizer.apply(tape.gradient(value, model.trainable_variables))
        return value

    def train():
        optimizer.build(model.trainable_variables)
        data = tf.data.Dataset.from_tensor_slices(counting()).batch(16).repeat(4)
        for inputs, targets in data:
            step(inputs, targets)

    [answer] = causality(trace_keras(train))
    assert answer["layer"] == "reader"


def test_to_be_asked_changes_nothing(trace_keras):
    weights = []

    def train():
        keras.utils.set_random_seed(2)
        model = reader("same", dropout=0.2)
        trained(model)()
        weights.append(model.get_weights())

    train()
    assert causality(trace_keras(train))
    for one, other in zip(*weights, strict=True):
        assert np.array_equal(one, other)
