"""Keras on JAX: `fit` is followed from outside, and trains as without nntrace."""

from pathlib import Path

import numpy as np
import pytest
from keras_on_jax import traced
from tracing import payloads

from nntrace.diagnosis import diagnose
from nntrace.schema import EventKind, Role


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """One that trains twice, bare and traced."""
    return traced("twice.py", tmp_path_factory.mktemp("keras-on-jax") / "run")


@pytest.fixture(scope="module")
def descent(tmp_path_factory):
    """The trace of plain gradient descent, and of a softmax before a loss on logits."""
    return traced("by_gradient.py", tmp_path_factory.mktemp("by-gradient") / "run")[1]


def test_losses_and_weights_are_those_of_an_untraced_run(run):
    assert run[0].strip() == "True"


def test_every_step_has_its_loss_and_rate(run):
    steps = run[1].steps
    assert steps.step.tolist() == list(range(8))
    assert steps.lr == pytest.approx(0.01)
    epochs = [event.payload["metrics"] for event in run[1].events_of(EventKind.EPOCH)]
    assert steps.loss.reshape(2, 4).mean(axis=1) == pytest.approx([e["loss"] for e in epochs])


def test_updates_are_what_each_step_changed(run):
    trace = run[1]
    name = "classifier/head/kernel"
    before = trace.series(Role.PARAM, "mean", trace.site(name, Role.PARAM))
    change = trace.series(Role.UPDATE, "mean", trace.site(name, Role.UPDATE))
    np.testing.assert_allclose(change[:-1], before[1:] - before[:-1], atol=1e-7)


def test_outputs_of_layers_are_recorded_with_their_gradients(run):
    trace = run[1]
    names = ["convolution", "relu", "drop", "pool", "head"]
    for role in (Role.ACTIVATION, Role.ACTIVATION_GRAD):
        assert [site.path.rpartition("/")[2] for site in trace.sites_of(role)] == names
    relu = next(s for s in trace.sites_of(Role.ACTIVATION) if s.path.endswith("relu"))
    assert (trace.series(Role.ACTIVATION, "min", relu) >= 0).all()
    assert not trace.events_of(EventKind.UNSEEN)


@pytest.mark.parametrize("name", ["sequential/hidden/kernel", "sequential/out/bias"])
def test_gradients_are_what_plain_descent_subtracts(descent, name):
    gradient = descent.site(name, Role.PARAM_GRAD)
    update = descent.site(name, Role.UPDATE)
    for stat in ("mean", "std"):
        given = descent.series(Role.PARAM_GRAD, stat, gradient)
        changed = descent.series(Role.UPDATE, stat, update)
        wanted = -0.01 * given if stat == "mean" else 0.01 * given
        np.testing.assert_allclose(changed, wanted, rtol=1e-3, atol=1e-7)


def test_the_gradient_of_an_output_is_that_of_the_squared_error(descent):
    site = descent.site("sequential/out", Role.ACTIVATION_GRAD)
    gradient = descent.series(Role.ACTIVATION_GRAD, "mean", site)[:6]
    output = descent.series(Role.OUTPUT, "mean", descent.site("mse_loss", Role.OUTPUT))[:6]
    target = descent.series(Role.TARGET, "mean", descent.site("mse_loss", Role.TARGET))[:6]
    examples = np.array([16, 16, 8] * 2)
    np.testing.assert_allclose(gradient, (output - target) / examples, rtol=1e-3, atol=1e-7)


def test_batches_have_their_size_and_their_examples(descent):
    assert descent.steps.batch_size.tolist() == [16, 16, 8] * 2 + [8] * 5


def test_a_softmax_before_a_loss_on_logits_is_found(descent):
    assert [finding.code for finding in diagnose(descent).findings if finding.code == "LOS02"]


def test_the_mode_of_layers_that_behave_differently_in_training_is_recorded(run):
    [mode] = run[1].events_of(EventKind.MODE)
    assert (mode.payload["training"], mode.payload["dropout_active"]) == (True, 1)


def test_the_seed_that_the_program_set_is_recorded(run):
    assert [e.payload["seed"] for e in run[1].events_of(EventKind.SEED)] == ["0"]


@pytest.fixture(scope="module")
def two_heads(tmp_path_factory):
    """The trace of a model with two outputs and weight decay."""
    return traced("two_heads.py", tmp_path_factory.mktemp("two-heads") / "run")[1]


def test_what_each_of_two_loss_functions_was_given_is_recorded(two_heads):
    heads = ["mse_loss:price", "cross_entropy:kind"]
    assert [site.path for site in two_heads.sites_of(Role.TARGET)] == heads
    assert [batch.loss_path for batch in two_heads.batches] == [heads[0]] * 2
    assert [loss.label_values for loss in two_heads.further_losses] == [(0, 1, 2)] * 2


def test_a_loss_function_was_chosen_by_compile_for_what_a_layer_ends_in(two_heads):
    calls = payloads(two_heads, EventKind.LOSS_CALL)
    assert [call["head"] for call in calls] == ["affine", "affine"]
    program = Path(calls[0]["file"]).read_text().splitlines()
    assert all("model.compile(" in program[call["line"] - 1] for call in calls)


def test_settings_of_the_optimizer_and_the_device_are_recorded(two_heads):
    [optimizer] = two_heads.events_of(EventKind.OPTIMIZER)
    assert optimizer.payload["weight_decay"] == 0.02
    updates = two_heads.sites_of(Role.UPDATE)
    assert [site.weight_decay for site in updates] == pytest.approx([0.02] * len(updates))
    assert {site.optimizer for site in updates} == {"AdamW"}
    assert all(site.requires_grad for site in two_heads.sites_of(Role.PARAM))
    [device] = two_heads.events_of(EventKind.DEVICE)
    assert device.payload["device"] == "cpu"


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    """The trace of what `fit` says of itself."""
    return traced("what_fit_knows.py", tmp_path_factory.mktemp("known") / "run")[1]


def test_steps_of_a_schedule_are_counted_up_to_its_end(known):
    schedules = payloads(known, EventKind.SCHEDULER)
    assert (schedules[-1]["class"], schedules[-1]["horizon"]) == ("CosineDecay", 1000)
    assert schedules[-1]["calls"] == 10


def test_one_target_for_all_positions_is_told(known):
    assert payloads(known, EventKind.LOSS_CALL)[0]["positions"] == 5


def test_a_layer_that_leads_nowhere_is_told(known):
    [left_out] = payloads(known, EventKind.LEFT_OUT)
    assert [path.rpartition("/")[2] for path in left_out["layers"]] == ["nowhere"]


def test_which_layer_feeds_which_is_read_off_the_traced_step(tmp_path):
    [graph] = payloads(traced("who_feeds_whom.py", tmp_path / "run")[1], EventKind.GRAPH)
    names = [name.rpartition("/")[2] for name in graph["vertices"]]
    edges = {(names[one], names[two]) for one, two in graph["edges"]}
    assert {
        *(("first", ":relu"), (":relu", "drop"), ("drop", "shared"), ("shared", ":tanh")),
        *((":tanh", "read"), ("read", "head"), ("first", ":detach")),
    } <= edges
    assert {two for one, two in edges if one == "first"} == {":relu", ":detach"}


def test_norms_that_were_told_to_infer_in_vain_are_named(known):
    [told] = payloads(known, EventKind.TRAINABLE)
    assert [path.rpartition("/")[2] for path in told["overruled"]] == ["moving_mean"]
    assert not told["still_trained"]


def test_a_model_without_trainable_weights_makes_no_step(known):
    assert len(known.steps) == 10
    epochs = payloads(known, EventKind.EPOCH)
    assert [epoch["trainable"] for epoch in epochs] == [True, True, False]


def test_a_step_that_shows_nothing_of_itself_says_why_and_has_its_updates(tmp_path):
    _, trace = traced("own_step.py", tmp_path / "run")
    [unseen] = trace.events_of(EventKind.UNSEEN)
    assert "calls neither `jax.value_and_grad` nor `jax.grad`" in unseen.payload["reason"]
    assert len(trace.steps) == 3
    assert trace.sites_of(Role.UPDATE)
    assert not trace.sites_of(Role.ACTIVATION)


def test_a_sampled_step_whose_scaled_gradients_overflow_is_skipped_and_holds_no_sample(tmp_path):
    _, trace = traced("scaled_loss.py", tmp_path / "run")
    skipped = trace.steps.skipped
    assert skipped[:8].tolist() == [False, True] * 4
    assert list(trace.sampled_steps) == np.flatnonzero(~skipped).tolist()
    for site in trace.sites_of(Role.PARAM_GRAD):
        assert np.isfinite(trace.series(Role.PARAM_GRAD, "rms", site)).all()


def test_validation_data_that_is_trained_on_is_counted(tmp_path):
    trace = traced("gathering.py", tmp_path / "run")[1]
    [last] = payloads(trace, EventKind.TRAINED_ON)[-1:]
    assert (last["examples"], last["seen"]) == (32, 8)  # steps are sampled by their last call
