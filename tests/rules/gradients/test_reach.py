import numpy as np
import pytest
from rules.builders import event, findings, gradient, run_rule, site, skip_reasons, trace_of

from nntrace.rules import Severity


def trace(*groups, steps=20, **columns):
    return trace_of(steps=steps, sites=[row for rows in groups for row in rows], **columns)


# GRD01


@pytest.mark.parametrize(
    ("first", "last", "found"),
    [(0.9e-7, 1e-2, 1), (1.1e-7, 1e-2, 0), (0.9e-7, 1e-3, 1), (0.9e-7, 0.8e-3, 0)],
)
def test_a_first_gradient_below_both_bounds_is_an_error(first, last, found):
    results = findings("GRD01", trace(gradient("a.weight", first), gradient("b.weight", last)))
    assert len(results) == found
    assert all(finding.level is Severity.ERROR for finding in results)


def test_a_gradient_that_vanishes_later_is_a_warning_since_then():
    first = gradient("a.weight", [*[1e-3] * 8, *[1e-9] * 12])
    [finding] = findings("GRD01", trace(first, gradient("b.weight", 0.01)))
    assert finding.level is Severity.WARNING
    assert finding.steps == (8, 19)


@pytest.mark.parametrize(("before", "explains"), [(0, ("UPD12",)), (1, ())])
def test_a_gradient_that_is_gone_at_once_is_not_outweighed_by_weight_decay(before, explains):
    first = gradient("a.weight", [1e-3] * before + [1e-9] * (20 - before))
    [finding] = findings("GRD01", trace(first, gradient("b.weight", 0.01)))
    assert finding.explains == explains
    assert finding.not_explained_by == (("UPD12", "PAR03") if explains else ())


def test_a_gradient_that_comes_back_is_healthy():
    first = gradient("a.weight", [*[1e-9] * 12, *[1e-3] * 8])
    assert not findings("GRD01", trace(first, gradient("b.weight", 0.01)))


def test_a_layer_without_any_gradient_is_left_out():
    rows = [gradient("a.weight", 0.0), gradient("b.weight", 0.01), gradient("c.weight", 0.01)]
    assert not findings("GRD01", trace(*rows))


def test_small_gradients_in_all_layers_alike_are_a_converged_run():
    rows = [gradient("a.weight", 1e-9), gradient("b.weight", 1e-8)]
    assert not findings("GRD01", trace(*rows))


def test_embeddings_and_biases_are_not_compared():
    embedding = site(
        "e.weight", "param_grad", rms=1e-12, module_type="Embedding", shape=[9, 9], numel=81
    )
    rows = [[embedding], gradient("a.bias", 1e-12, shape=(64,)), gradient("a.weight", 0.01)]
    assert not findings("GRD01", trace(*rows, gradient("b.weight", 0.01)))


@pytest.mark.parametrize(("steps", "skipped"), [(9, True), (10, False)])
def test_ten_samples_are_needed(steps, skipped):
    rows = [gradient("a.weight", 1e-9), gradient("b.weight", 0.01)]
    assert bool(skip_reasons("GRD01", trace(*rows, steps=steps))) is skipped


# GRD02


def norms(*values, loss=1.0, **columns):
    return trace_of(grad_norm=list(values), loss=loss, **columns)


USUAL = [1.0, 1.2, 0.9, 1.1, 1.0, 0.8, 1.0, 1.1, 0.9, 1.0]


@pytest.mark.parametrize(("peak", "found"), [(101.0, 1), (99.0, 0)])
def test_gradient_norms_a_hundred_times_the_usual_are_an_error(peak, found):
    results = findings("GRD02", norms(*USUAL, peak, *USUAL, peak, *USUAL))
    assert len(results) == found
    assert all(f.level is Severity.ERROR and "2 such jumps in all" in f.message for f in results)
    assert all(finding.steps == (10, 21) for finding in results)


def test_a_single_jump_without_benefit_is_an_error():
    assert findings("GRD02", norms(*USUAL, 500.0, *USUAL))


def test_a_jump_at_the_end_of_a_plateau_is_healthy():
    loss = [*[2.3] * 11, *[1.0] * 10]
    assert not findings("GRD02", norms(*USUAL, 500.0, *USUAL, loss=loss))


@pytest.mark.parametrize(("samples", "found"), [(200, 1), (201, 0)])
def test_a_jump_in_more_than_two_hundred_samples_is_an_accident(samples, found):
    quiet = (USUAL * 21)[: samples - 11]
    assert len(findings("GRD02", norms(*USUAL, 500.0, *quiet))) == found


def test_late_spikes_of_a_converged_run_are_compared_with_its_start():
    quiet = [0.001] * 10
    assert not findings("GRD02", norms(*USUAL, *quiet * 6, 50.0, *quiet, 50.0, *quiet))


def test_gradients_that_begin_tiny_and_train_well_are_healthy():
    rising = [1e-6 * 10**i for i in range(7)]
    loss = list(np.linspace(2.3, 0.5, 27))
    assert not findings("GRD02", norms(*rising, *[1.0] * 20, loss=loss))


@pytest.mark.parametrize(("growth", "found"), [(2.01, 1), (1.98, 0)])
def test_a_norm_that_doubles_five_times_in_a_row_with_the_loss_is_an_error(growth, found):
    norm = [growth**i for i in range(9)]
    loss = [1.0 * 1.5**i for i in range(9)]
    assert len(findings("GRD02", norms(*norm, loss=loss))) == found


def test_a_run_that_ends_in_nan_after_growing_gradients_is_an_error():
    loss = [2.3, 2.5, 9.0, 80.0, 900.0, 2e5, None, None]
    [finding] = findings("GRD02", norms(1, 3, 10, 40, 200, 5000, 1e7, None, loss=loss))
    assert "the loss has been worse since" in finding.message


def test_doubling_without_harm_is_healthy():
    norm = [2.0**i for i in range(9)]
    assert not findings("GRD02", norms(*norm, loss=list(np.linspace(2, 1, 9))))


def test_each_optimizer_is_compared_with_itself():
    values = [1.0, 300.0] * 15
    names = ["Adam", "Adam.2"] * 15
    assert not findings("GRD02", norms(*values, optimizer=names))


def test_five_samples_of_the_norm_are_too_few():
    assert skip_reasons("GRD02", norms(*[1.0] * 5))
    assert not skip_reasons("GRD02", norms(*[1.0] * 6))


# GRD06


@pytest.mark.parametrize(("kept", "found"), [(11, 1), (10, 0)])
def test_old_gradients_at_most_steps_are_an_error(kept, found):
    cleared = [False] * kept + [True] * (20 - kept)
    results = findings("GRD06", trace_of(loss=[1.0] * 20, gradients_cleared=cleared))
    assert len(results) == found


def test_steps_at_which_nothing_was_looked_at_do_not_count():
    cleared = [None, False, None, False, None, False]
    assert findings("GRD06", trace_of(loss=[1.0] * 6, gradients_cleared=cleared))


@pytest.mark.parametrize(("looked", "skipped"), [(2, True), (3, False)])
def test_three_looks_are_needed(looked, skipped):
    rows = trace_of(loss=[1.0] * 9, gradients_cleared=[*[True] * looked, *[None] * (9 - looked)])
    assert bool(skip_reasons("GRD06", rows)) is skipped


def test_of_optimizers_in_turn_the_one_that_is_not_cleared_is_named():
    rows = {"loss": [1.0] * 12, "optimizer": ["Adam", "Adam_2"] * 6}
    [finding] = findings("GRD06", trace_of(**rows, gradients_cleared=[True, False] * 6))
    assert "of Adam_2: 6 of 6" in finding.message
    assert findings("GRD06", trace_of(**rows, gradients_cleared=[True] * 12)) == []
    [both] = findings("GRD06", trace_of(**rows, gradients_cleared=[False] * 12))
    assert "steps: 12 of 12" in both.message


def test_the_line_of_the_optimizer_that_is_not_cleared_is_shown():
    made = [
        event("optimizer", 0, name=name, file="train.py", line=line, **{"class": "Adam"})
        for name, line in (("Adam", 3), ("Adam_2", 4))
    ]
    rows = {"loss": [1.0] * 12, "optimizer": ["Adam", "Adam_2"] * 6, "events": made}
    [one] = findings("GRD06", trace_of(**rows, gradients_cleared=[True, False] * 6))
    assert one.location.line == 4
    [both] = findings("GRD06", trace_of(**rows, gradients_cleared=[False] * 12))
    assert both.location is None


def test_gradients_that_add_up_are_found_at_the_line_that_computes_them():
    called = event("objective", 0, terms=[], weights=[], file="train.py", line=31)
    rows = trace_of(loss=[1.0] * 9, gradients_cleared=[False] * 9, events=[called])
    [finding] = findings("GRD06", rows)
    assert (finding.location.file, finding.location.line) == ("train.py", 31)


# all


@pytest.mark.parametrize("code", ["GRD01", "GRD02", "GRD03", "GRD06"])
@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), 0.0, 1.0])
@pytest.mark.parametrize("steps", [1, 20])
def test_degenerate_gradients_raise_nothing(code, value, steps):
    rows = [gradient(f"{name}.weight", value, update=value) for name in "ab"]
    run_rule(code, trace(*rows, steps=steps, grad_norm=value, loss=value))
    run_rule(code, trace())
