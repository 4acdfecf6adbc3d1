"""PRB01 on synthetic checks."""

import numpy as np
import pytest
from rules.builders import run_rule, site, trace_of
from rules.checks import checked, fitted, only_finding, only_skip, overfit, step

from nntrace.rules import Finding, Severity
from nntrace.rules.probes import fit
from nntrace.trace import Trace


def test_a_probe_names_the_experiment_it_needs():
    reason = only_skip("PRB01", Trace.from_rows(steps=[step(n) for n in range(5)]))
    assert "nntrace check" in reason


@pytest.mark.parametrize(("last", "found"), [(0.22, False), (0.24, True)])
def test_a_batch_is_fitted_at_nine_tenths_of_the_way(last, found):
    results = run_rule("PRB01", checked(overfit=overfit(fitted(last))))
    assert [isinstance(result, Finding) for result in results] == [True] * found


def test_the_way_ends_at_the_floor_of_soft_targets():
    assert run_rule("PRB01", checked(overfit=overfit(fitted(0.6), told={"floor": 0.5}))) == []


@pytest.mark.parametrize(("accuracy", "found"), [(0.98, True), (1.0, False)])
def test_every_prediction_right_is_a_fit_half_way(accuracy, found):
    run_of_it = overfit(fitted(1.0), accuracy=[accuracy] * 100)
    assert bool(run_rule("PRB01", checked(overfit=run_of_it))) is found


def test_parameters_that_no_optimizer_was_given_are_named():
    sites = [
        site("head.weight", "param", rms=1.0),
        site("head.bias", "param", rms=1.0),
        site("head.bias", "update", rms=0.1),
        site("stem.bias", "update", rms=0.0),
    ]
    assert fit(trace_of(loss=[2.0, 1.9, 1.8], sites=sites)).unmoved == ("head.weight", "stem.bias")


def test_a_loss_that_still_falls_is_not_judged():
    losses = np.linspace(2.3, 1.0, 100)
    assert "still falling" in only_skip("PRB01", checked(overfit=overfit(losses)))


def test_a_loss_without_a_known_floor_is_judged_only_when_it_does_not_move():
    unknown = {"told": {"floor": None}}
    assert "lowest" in only_skip("PRB01", checked(overfit=overfit(fitted(1.5), **unknown)))
    assert only_finding("PRB01", checked(overfit=overfit(fitted(2.29), **unknown)))


@pytest.mark.parametrize("last", [-4600.0, 0.3])
def test_a_loss_that_falls_below_its_floor_is_no_proof(last):
    losses = np.concatenate([np.linspace(2.3, last, 50), [last] * 50])
    trace = checked(overfit=overfit(losses, told={"floor": 0.5}, accuracy=[0.78] * 100))
    assert "lowest value" in only_skip("PRB01", trace)


def test_optimizers_that_take_turns_have_no_loss_to_overfit():
    trace = checked(overfit=overfit(fitted(1.5), optimizers=("Adam", "Adam.2")))
    assert "take turns" in only_skip("PRB01", trace)


def test_of_training_in_phases_it_is_not_said_that_optimizers_take_turns():
    losses = fitted(1.5)
    phases = ("Adam",) * (len(losses) // 2) + ("Adam.2",) * (len(losses) - len(losses) // 2)
    assert "phases" in only_skip("PRB01", checked(overfit=overfit(losses, optimizers=phases)))


def test_a_batch_that_another_rate_fits_is_a_note():
    other = overfit(fitted(0.01), name="overfit-other-rate")
    trace = checked(overfit=overfit(fitted(1.5)), **{"overfit-other-rate": other})
    assert only_finding("PRB01", trace).level is Severity.INFO
