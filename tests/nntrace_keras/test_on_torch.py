"""Keras on the PyTorch backend: PyTorch's hooks do the work, the names are Keras'."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tracing import payloads

from nntrace.rules import get_rule
from nntrace.schema import EventKind, Role
from nntrace.trace import Trace

PROGRAM = Path(__file__).parent / "programs" / "twice.py"


def printed_by(program, folder):
    """What a program prints that writes its run into `folder`."""
    done = subprocess.run(
        [sys.executable, str(PROGRAM.with_name(program)), str(folder)],
        env={**os.environ, "KERAS_BACKEND": "torch", "NNTRACE_STRICT": "1", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def traced(program, folder):
    printed_by(program, folder)
    return Trace.open(folder)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """What the program printed, and its trace."""
    folder = tmp_path_factory.mktemp("keras-on-torch") / "run"
    printed = printed_by(PROGRAM.name, folder)
    return printed, Trace.open(folder)


@pytest.fixture
def trace(run):
    return run[1]


def test_losses_and_weights_are_those_of_an_untraced_run(run):
    assert run[0].strip() == "True"


def test_a_compiled_model_with_norms_and_dropouts_trains_as_untraced(tmp_path):
    assert printed_by("compiled_on_torch.py", tmp_path / "run").strip() == "True"
    assert len(Trace.open(tmp_path / "run").steps) == 4


def test_every_step_is_recorded_once_under_the_name_of_keras_optimizer(trace):
    assert trace.steps.step.tolist() == list(range(8))
    assert len(set(trace.steps.optimizer)) == 1
    assert trace.steps.optimizer[0].startswith("Adam")
    assert trace.steps.lr == pytest.approx(0.01)
    assert trace.steps.batch_size.tolist() == [16] * 8


def test_layers_and_parameters_have_the_paths_that_keras_shows(trace):
    activations = [site.path for site in trace.sites_of(Role.ACTIVATION)]
    parts = ("body/convolution", "body/relu", "body/drop", "pool", "head")
    assert activations == [f"classifier/{part}" for part in parts]
    expected = {
        f"classifier/{layer}/{name}"
        for layer in ("body/convolution", "head")
        for name in ("kernel", "bias")
    }
    for role in (Role.PARAM, Role.PARAM_GRAD, Role.UPDATE):
        assert {site.path for site in trace.sites_of(role)} == expected


def test_kernels_and_channels_are_read_in_the_order_of_keras(trace):
    kernel = trace.site("classifier/body/convolution/kernel", Role.PARAM)
    assert (kernel.fan_in, kernel.fan_out) == (18, 36)
    assert kernel.parent == "classifier/body/convolution"
    assert trace.site(kernel.parent, Role.ACTIVATION).unit_axis == 3


def test_the_activation_function_of_a_layer_stands_behind_it_in_the_data_flow(trace):
    [flow] = payloads(trace, EventKind.GRAPH)
    edges = {(flow["vertices"][one], flow["vertices"][two]) for one, two in flow["edges"]}
    convolution, relu = "classifier/body/convolution", "classifier/body/relu"
    assert {(convolution, ":elu"), (":elu", relu)} <= edges
    assert (convolution, relu) not in edges


def test_a_loss_function_was_chosen_by_the_line_of_the_program_that_compiles(trace):
    [call] = payloads(trace, EventKind.LOSS_CALL)
    assert call["file"] == str(PROGRAM)
    assert ".compile(" in PROGRAM.read_text().splitlines()[call["line"] - 1]


def test_the_rate_of_a_dropout_layer_is_recorded(trace):
    assert trace.site("classifier/body/drop", Role.ACTIVATION).dropout_rate == pytest.approx(0.2)


def test_the_size_and_the_order_of_the_arrays_given_to_fit_are_known(trace):
    expected = {"dataset_size": 64, "batch_size": 16, "batches": 4, "shuffle": True}
    loaders = payloads(trace, EventKind.LOADER)
    assert loaders
    assert all({name: one[name] for name in expected} == expected for one in loaders)


def test_the_passes_of_one_fit_are_over_one_loader_and_complete(trace):
    [loader] = payloads(trace, EventKind.LOADER)
    passes = [one for one in payloads(trace, EventKind.EPOCH) if "metrics" not in one]
    assert {one["loader"] for one in passes} == {loader["loader"]}
    trained = [one for one in passes if one["steps"]]  # Keras builds the model from a batch before
    found = [(one["steps"], one["batches"], one["complete"]) for one in trained]
    assert found == [(4, 4, True)] * 2
    assert trained[0]["order"] != trained[1]["order"]


def test_the_update_is_what_the_optimizer_changed(trace):
    name = "classifier/head/kernel"
    before = trace.series(Role.PARAM, "mean", trace.site(name, Role.PARAM))
    change = trace.series(Role.UPDATE, "mean", trace.site(name, Role.UPDATE))
    assert change[:-1] == pytest.approx(before[1:] - before[:-1], abs=1e-7)


def test_epochs_carry_the_metrics_that_keras_computes(trace):
    kept = [e.payload for e in trace.events_of(EventKind.EPOCH) if "metrics" in e.payload]
    assert [set(payload["metrics"]) for payload in kept] == [{"loss", "accuracy"}] * 2


def test_what_the_loss_function_of_keras_was_given_is_recorded(trace):
    [call] = trace.events_of(EventKind.LOSS_CALL)
    assert call.payload["keras_function"] == "sparse_categorical_crossentropy"
    name = call.payload["function"]
    for role in (Role.TARGET, Role.OUTPUT):
        assert [site.path for site in trace.sites_of(role)] == [name]
    for batch, loss in zip(trace.batches, trace.steps.loss, strict=True):
        assert (batch.loss_function, batch.classes) == (name, 3)
        assert batch.label_values
        assert batch.loss_value == pytest.approx(loss, rel=1e-5)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """The trace of several calls of `fit`, on two parts of two arrays."""
    return traced("data_of_fit.py", tmp_path_factory.mktemp("fitted") / "run")


def test_class_weights_and_the_data_of_two_fits_are_told_apart_by_loader(fitted):
    by_number = {one["loader"]: one for one in payloads(fitted, EventKind.LOADER)}
    assert [one["dataset_size"] for one in by_number.values()] == [48, 16, 48]
    weights = [one["class_weights"] for one in by_number.values()]
    assert weights == [{"0": 1.0, "1": 5.0}, {}, {"0": 1.0, "1": 5.0}]
    passes = [one for one in payloads(fitted, EventKind.EPOCH) if "metrics" not in one]
    held = [(one["loader"], one["steps"]) for one in passes if one["complete"]]
    two_calls = [(0, 3)] * 3
    assert sorted(held) == [*two_calls, (1, 0), (1, 0), (2, 3)]


def test_a_functional_model_whose_parts_were_called_to_build_it_is_the_first_model(fitted):
    evaluations = payloads(fitted, EventKind.EVALUATION)
    assert [(one["model"], one["examples"]) for one in evaluations] == [("", 16)] * 2


def test_a_schedule_and_how_far_it_has_come_are_recorded(fitted):
    last = payloads(fitted, EventKind.SCHEDULER)[-1]
    assert (last["class"], last["horizon"], last["calls"]) == ("CosineDecay", 100, 12)
    assert last["file"].endswith("data_of_fit.py")


def test_a_layer_that_leads_to_no_output_is_told(fitted):
    [left_out] = payloads(fitted, EventKind.LEFT_OUT)
    assert left_out["layers"] == ["left_out"]


def test_a_softmax_before_a_loss_on_logits_is_found(tmp_path):
    trace = traced("by_gradient.py", tmp_path / "run")
    [finding] = get_rule("LOS02").run(trace, {})
    assert "receives probabilities" in finding.message
    assert {batch.loss_function for batch in trace.batches} == {"mse_loss", "cross_entropy"}


def test_targets_that_are_arrays_are_those_of_the_loss(tmp_path):
    trace = traced("batch_by_batch.py", tmp_path / "run")
    assert [sum(batch.label_counts) for batch in trace.batches] == [16] * 4
    assert {batch.loss_function for batch in trace.batches} == {"cross_entropy"}
    assert [batch.loss_value for batch in trace.batches] == pytest.approx(
        trace.steps.loss, rel=1e-5
    )


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    """The trace of what `fit` says of itself."""
    folder = tmp_path_factory.mktemp("known") / "run"
    return traced("what_fit_knows.py", folder)


def test_one_target_for_all_positions_is_told(known):
    assert payloads(known, EventKind.LOSS_CALL)[0]["positions"] == 5


def test_what_keras_calls_for_shapes_alone_is_no_evaluation(known):
    passes = payloads(known, EventKind.EVALUATION)
    assert passes
    assert {one["examples"] for one in passes} == {40}


def test_a_model_without_trainable_weights_says_so(known):
    epochs = [epoch for epoch in payloads(known, EventKind.EPOCH) if "metrics" in epoch]
    assert [epoch["trainable"] for epoch in epochs] == [True, True, False]


@pytest.fixture(scope="module")
def scaled(tmp_path_factory):
    """The trace of a training in float16 whose loss scale soon overflows."""
    return traced("scaled_loss.py", tmp_path_factory.mktemp("scaled") / "run")


def test_a_loss_is_recorded_without_its_scale_and_steps_that_overflow_as_skipped(scaled):
    steps = scaled.steps
    assert len(steps) == 16
    assert steps.skipped[:8].tolist() == [False, True] * 4
    assert steps.loss_scale[0] == 2.0**15
    made = ~steps.skipped
    assert (np.diff(np.log2(steps.loss_scale))[made[:-1]] == 1).all()
    assert (np.diff(np.log2(steps.loss_scale))[~made[:-1]] == -1).all()
    assert steps.loss.max() < 100
    gradients = scaled.series(Role.PARAM_GRAD, "rms", scaled.sites_of(Role.PARAM_GRAD)[0])
    assert np.nanmax(gradients) < 100


def test_targets_of_arrays_may_be_the_programs_own(scaled):
    assert {batch.target_delivered for batch in scaled.batches} == {None}


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """The trace of a batch norm and a dropout, trained by an optimizer that clips and decays."""
    return traced("modes_of_layers.py", tmp_path_factory.mktemp("told") / "run")


def test_modes_are_those_in_which_keras_calls_its_layers(told):
    first, *_ = payloads(told, EventKind.MODE)
    counts = {name: first[name] for name in first if name.endswith("active")}
    active = {"dropout_active": 1, "norm_active": 1}
    assert first["training"] is True
    assert counts == {"dropout_inactive": 0, "norm_inactive": 0, **active}


def test_an_evaluation_in_fit_has_its_modes_and_its_loss(told):
    first, *_ = payloads(told, EventKind.EVALUATION)
    assert (first["training"], first["dropout_inactive"], first["norm_inactive"]) == (False, 1, 1)
    assert (first["part"], first["loss_function"]) == ("", "cross_entropy")
    metrics = next(one["metrics"] for one in payloads(told, EventKind.EPOCH) if "metrics" in one)
    assert first["loss"] == pytest.approx(metrics["val_loss"], rel=1e-5)


def test_norms_count_as_trained_by_their_statistics_before_the_first_training_call(told):
    trained = [one["norm_trained"] for one in payloads(told, EventKind.MODE)]
    assert trained == [0, 0, 0, 1]  # the last are those of the norm that was loaded


def test_what_a_norm_would_give_in_evaluation_is_recorded(told):
    entered = told.series(Role.ACTIVATION, "rms", told.site("hidden", Role.ACTIVATION))
    [first, *_] = told.series(Role.RUNNING_NORM, "rms", told.site("norm", Role.RUNNING_NORM))
    assert first == pytest.approx(entered[0], rel=0.02)  # by a mean of 0 and a variance of 1


def test_an_optimizer_is_told_with_its_settings_and_its_line(told):
    first, *_ = payloads(told, EventKind.OPTIMIZER)
    expected = {"name": "SGD", "decoupled": True, "stateful": False, "groups": 1}
    assert {name: first[name] for name in expected} == expected
    program = PROGRAM.with_name("modes_of_layers.py")
    assert first["file"] == str(program)
    assert "keras.optimizers.SGD(" in program.read_text().splitlines()[first["line"] - 1]


def test_updates_belong_to_the_optimizer_that_makes_them_with_the_decay_of_each(told):
    sites = {path: told.site(path, Role.UPDATE) for path in ("hidden/kernel", "hidden/bias")}
    assert {site.optimizer for site in sites.values()} == {"SGD"}
    assert sites["hidden/kernel"].weight_decay == pytest.approx(0.01)
    assert sites["hidden/bias"].weight_decay == 0.0


def test_norms_before_and_after_clipping_by_the_optimizer_are_recorded(told):
    steps = told.steps.optimizer == "SGD"
    assert told.steps.clip_limit[steps] == pytest.approx(0.01, rel=1e-4)
    assert (told.steps.clip_norm[steps] > 0.1).all()


def test_a_zero_divided_by_zero_in_an_update_is_found_in_the_state_of_keras_optimizer(tmp_path):
    [origin, *_] = payloads(traced("adam_without_epsilon.py", tmp_path / "run"), EventKind.ORIGIN)
    assert (origin["where"], origin["op"]) == ("update", "Adam")
    assert origin["parameter"] == "sequential/first/kernel"
    assert origin["what"] == (
        "3 of 12 elements are not finite: 0 / 0, for eps is 0 and `_velocities` is 0 there"
    )


def test_the_classes_of_one_hot_targets_are_counted(told):
    batch = told.batches[-1]
    assert batch.label_values == (0, 1, 2)
    assert sum(batch.label_counts) == 32


def test_how_many_batches_a_data_set_by_numbers_has_is_known(told):
    *_, loader = payloads(told, EventKind.LOADER)
    expected = {"sampler": "PyDatasetAdapter", "batches": 2}
    assert {name: loader[name] for name in expected} == expected


@pytest.fixture(scope="module")
def gathered(tmp_path_factory):
    """What a program printed whose optimizer gathers gradients, and its trace."""
    folder = tmp_path_factory.mktemp("gathered") / "run"
    printed = printed_by("gathering.py", folder)
    return [float(line) for line in printed.split()], Trace.open(folder)


def test_a_step_is_a_call_in_which_an_optimizer_applies_what_it_gathered(gathered):
    losses, trace = gathered
    assert trace.steps.batch_size.tolist() == [32] * 8
    assert trace.steps.backwards.tolist() == [4] * 8
    assert not trace.steps.skipped.any()
    assert trace.steps.loss[:2] == pytest.approx(
        [np.mean(losses[:4]), np.mean(losses[4:])], rel=1e-4
    )
    assert not payloads(trace, EventKind.IDLE)


def test_validation_data_that_is_trained_on_is_counted(gathered):
    _, trace = gathered
    [last] = payloads(trace, EventKind.TRAINED_ON)[-1:]
    assert (last["examples"], last["seen"]) == (24, 8)  # of calls 1, 2 and 4
