"""A functional model with two inputs, two outputs, two losses and sample weights, under `fit`."""

import keras
import numpy as np
import pytest
from keras import layers
from tracing import tracing

from nntrace.schema import EventKind, Role
from nntrace.trace import Trace

EXAMPLES, BATCH = 48, 16


def trained():
    """Losses of the two epochs, and the weights."""
    keras.utils.set_random_seed(0)
    title, tags = layers.Input((6,), name="title"), layers.Input((4,), name="tags")
    seen = layers.Dense(8, activation="relu", name="reads_title")(title)
    joined = layers.Concatenate(name="joined")([seen, layers.Dense(3, name="reads_tags")(tags)])
    priority = layers.Dense(1, name="priority")(joined)
    department = layers.Dense(4, name="department")(joined)
    model = keras.Model([title, tags], [priority, department], name="tickets")
    losses = [
        keras.losses.MeanSquaredError(),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    ]
    model.compile(keras.optimizers.Adam(0.01), losses, loss_weights=[1.0, 0.2], jit_compile=False)
    random = np.random.default_rng(0)
    inputs = [random.normal(size=(EXAMPLES, size)).astype("float32") for size in (6, 4)]
    targets = [random.normal(size=(EXAMPLES, 1)).astype("float32"), np.arange(EXAMPLES) % 4]
    weights = [random.uniform(0.5, 2.0, EXAMPLES).astype("float32") for _ in range(2)]
    history = model.fit(
        inputs, targets, BATCH, sample_weight=weights, epochs=2, shuffle=False, verbose=0
    ).history
    return history, model.get_weights()


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The training without nntrace and with it, and the trace."""
    bare = trained()
    folder = tmp_path_factory.mktemp("several") / "run"
    with tracing(folder, framework="keras") as recorder:
        traced = trained()
    assert recorder.failure is None
    return bare, traced, Trace.open(folder)


def test_losses_and_weights_are_those_of_an_untraced_run(runs):
    (history, weights), (traced_history, traced_weights), _ = runs
    assert traced_history == history
    for one, other in zip(weights, traced_weights, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_loss_of_a_step_is_the_weighted_sum_with_sample_weights(runs):
    _, (history, _), trace = runs
    assert trace.steps.loss.reshape(2, -1).mean(axis=1) == pytest.approx(history["loss"], rel=1e-5)


def test_the_terms_of_the_objective_add_up_to_the_loss(runs):
    *_, trace = runs
    assert [batch.step for batch in trace.batches] == list(range(6))
    for batch, loss in zip(trace.batches, trace.steps.loss, strict=True):
        assert len(batch.term_values) == 2
        assert sum(batch.term_values) == pytest.approx(loss, rel=1e-5)


def test_every_layer_and_input_is_recorded_once(runs):
    *_, trace = runs
    weighted = {"reads_title", "reads_tags", "priority", "department"}
    kinds = {f"{layer}/{kind}" for layer in weighted for kind in ("kernel", "bias")}
    expected = {
        **dict.fromkeys((Role.ACTIVATION, Role.ACTIVATION_GRAD), weighted | {"joined"}),
        **dict.fromkeys((Role.PARAM, Role.PARAM_GRAD, Role.UPDATE), kinds),
        Role.INPUT: {"input.0", "input.1"},
    }
    for role, paths in expected.items():
        found = [site.path for site in trace.sites_of(role)]
        assert len(found) == len(paths)
        assert set(found) == paths
    assert trace.steps.batch_size.tolist() == [BATCH] * 6


def test_what_each_loss_function_was_given_is_recorded(runs):
    *_, trace = runs
    heads = ("mse_loss:priority", "cross_entropy:department")
    for role in (Role.TARGET, Role.OUTPUT):
        assert [site.path for site in trace.sites_of(role)] == list(heads)
    assert [batch.loss_path for batch in trace.batches] == [heads[0]] * 6
    assert [loss.loss_path for loss in trace.further_losses] == [heads[1]] * 6
    for batch, further in zip(trace.batches, trace.further_losses, strict=True):
        assert further.step == batch.step
        assert (further.classes, further.batch_size) == (4, BATCH)
        assert further.label_values == (0, 1, 2, 3)
        weighted = [batch.loss_value, 0.2 * further.loss_value]
        assert weighted == pytest.approx(batch.term_values, rel=1e-5)
        assert further.fingerprint is None


def test_each_head_of_a_loss_function_is_announced(runs):
    *_, trace = runs
    calls = trace.events_of(EventKind.LOSS_CALL)
    assert [call.payload["path"] for call in calls] == [
        "mse_loss:priority",
        "cross_entropy:department",
    ]
