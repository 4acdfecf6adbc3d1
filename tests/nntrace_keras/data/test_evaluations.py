"""`evaluate` and `predict` are passes without gradients; several losses are terms of one sum."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from tracing import payloads

from nntrace.rules import get_rule
from nntrace.schema import EventKind, Role

RATE = 0.4


def program():
    keras.utils.set_random_seed(0)
    random = np.random.default_rng(0)
    inputs = random.normal(size=(64, 6)).astype("float32")
    labels, numbers = np.arange(64) % 2, random.normal(size=64).astype("float32")
    start = layers.Input((6,))
    hidden = layers.Dropout(RATE)(layers.BatchNormalization()(layers.Dense(8)(start)))
    heads = [layers.Dense(2, name="kind")(hidden), layers.Dense(1, name="size")(hidden)]
    model = keras.Model(start, heads)
    optimizer = keras.optimizers.AdamW(1e-3, weight_decay=0.01)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, [entropy, "mse"], loss_weights=[1.0, 0.5], jit_compile=False)
    held_out = (inputs[:40] + 1, [labels[:40], numbers[:40]])
    model.fit(
        inputs, [labels, numbers], batch_size=16, epochs=2, verbose=0, validation_data=held_out
    )
    model.evaluate(inputs, [labels, numbers], verbose=0)
    for _ in range(2):
        model.predict(inputs[:20], verbose=0)


def of_a_pipeline(offset=0.0, **settings):
    """A program that validates on batches of `tf.data`, and what it came to."""
    came_to = []

    def train():
        keras.utils.set_random_seed(0)
        random = np.random.default_rng(0)
        inputs = random.normal(size=(160, 6)).astype("float32")
        targets = inputs[:, :1] * 2
        start = layers.Input((6,))
        hidden = layers.BatchNormalization()(layers.Dense(8)(start))
        model = keras.Model(start, layers.Dense(1)(layers.Dropout(RATE)(hidden)))
        model.compile("adam", "mse", jit_compile=False, **settings)
        data = tf.data.Dataset.from_tensor_slices((inputs, targets)).batch(16)
        held_out = data.map(lambda given, target: (given * 3 + offset, target))
        told = model.fit(data, validation_data=held_out, epochs=2, shuffle=False, verbose=0)
        came_to.append(told.history)
        model.predict(held_out, verbose=0)

    return train, came_to


@pytest.mark.parametrize("settings", [{}, {"steps_per_execution": 2}])
def test_what_a_pipeline_delivers_is_told_of_each_pass(trace_keras, settings):
    program, _ = of_a_pipeline(offset=5.0, **settings)
    trace = trace_keras(program)
    [shift] = get_rule("DAT14").run(trace)
    assert shift.location.file == __file__
    passes = payloads(trace, EventKind.EVALUATION)
    assert len(passes) == 3
    for one in passes:
        assert one["input_mean"] == pytest.approx(5, abs=0.5)
        assert one["input_std"] == pytest.approx(3, abs=0.5)
        assert one["input_min"] < one["input_mean"] < one["input_max"]
        assert one["input_shape"][1:] == [6]
        assert one["examples"] == 160


def test_validation_that_is_looked_at_gives_the_same_losses(trace_keras):
    program, came_to = of_a_pipeline()
    program()
    trace_keras(program)
    bare, traced = came_to
    assert bare == traced


def test_a_model_that_was_evaluated_can_be_exported(trace_keras, tmp_path):
    def train():
        model = keras.Sequential([layers.Input((3,)), layers.Dense(1)])
        model.compile("sgd", "mse", jit_compile=False)
        data = tf.data.Dataset.from_tensors((np.ones((4, 3), "float32"), np.ones((4, 1))))
        model.fit(data, validation_data=data, epochs=2, shuffle=False, verbose=0)
        model.export(tmp_path / "saved", verbose=False)

    trace_keras(train)
    assert tf.saved_model.load(tmp_path / "saved").serve(np.ones((2, 3), "float32")).shape == (2, 1)


def test_a_trace_has_the_passes_and_the_terms(trace_keras):
    trace = trace_keras(program)
    passes = payloads(trace, EventKind.EVALUATION)
    assert [one["examples"] for one in passes] == [40, 40, 64, 20, 20]
    assert [one["calls"] for one in passes] == [3, 3, 2, 1, 1]
    assert [event.step for event in trace.events_of(EventKind.EVALUATION)] == [4, 8, 8, 8, 8]
    first, second, of_training, *predictions = passes
    assert first["group"] == second["group"]
    assert (first["number"], second["number"]) == (0, 1)
    epochs = payloads(trace, EventKind.EPOCH)
    assert [epoch["steps"] for epoch in epochs] == [4, 4]
    assert {epoch["loader"] for epoch in epochs} == {of_training["loader"]}
    assert first["loader"] != of_training["loader"]
    assert [epoch["metrics"]["val_loss"] for epoch in epochs] == pytest.approx(
        [first["loss"], second["loss"]]
    )
    assert all(one["loss"] is None for one in predictions)
    assert len({one["loader"] for one in predictions}) == 1, "a slice of the same rows each time"
    assert first["input_mean"] - of_training["input_mean"] == pytest.approx(1, abs=0.2)
    assert (first["training"], first["dropout_inactive"], first["norm_inactive"]) == (False, 1, 1)
    assert first["file"].endswith("test_evaluations.py")

    batch = trace.batches[0]
    assert batch.term_names == ("cross_entropy:kind", "mse_loss:size")
    assert sum(batch.term_values) == pytest.approx(trace.steps.loss[0], rel=1e-5)

    (dropout,) = [s for s in trace.sites_of(Role.ACTIVATION) if s.dropout_rate is not None]
    assert dropout.dropout_rate == pytest.approx(RATE)
    decays = {site.path: site.weight_decay for site in trace.sites_of(Role.UPDATE)}
    assert decays["kind/kernel"] == pytest.approx(0.01)
    assert decays["kind/bias"] == 0.0
