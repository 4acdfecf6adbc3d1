"""PRB02, PRB06 and PRB09: whether inputs, targets or capacity give an advantage."""

import numpy as np
import pytest
from rules.builders import run_rule
from rules.checks import checked, fitted, noisy, only_finding, only_skip, overfit, run

from nntrace.rules import Finding, Severity


def test_inputs_that_win_by_little_but_at_every_step_are_of_use():
    trace = checked(blind=run("blind", noisy(1.05), inputs="zero"))
    assert run_rule("PRB02", trace) == []


def test_equal_losses_in_every_digit_need_no_further_proof():
    trace = checked(blind=run("blind", noisy(1.0), inputs="zero"))
    assert "does not depend" in only_finding("PRB02", trace).message


@pytest.mark.parametrize(("level", "judged"), [(0.45, False), (0.55, True)])
def test_inputs_that_are_the_targets_too_are_not_judged(level, judged):
    blind = run("blind", noisy(level), inputs="zero")
    trace = checked(blind=blind, overfit=overfit(fitted(0.0, steps=40)))
    assert isinstance(run_rule("PRB02", trace)[0], Finding) is judged


def alike(seed=1):
    return noisy(1.0, noise=0.0) + 0.02 * np.random.default_rng(seed).normal(size=100)


@pytest.mark.parametrize(("code", "name"), [("PRB02", "blind"), ("PRB06", "shuffled")])
def test_losses_that_are_alike_are_blamed_only_when_the_model_can_learn(code, name):
    other = run(name, alike(), targets="shuffle")
    quick = overfit(fitted(0.0, steps=40))
    assert only_finding(code, checked(**{name: other}, overfit=quick)).code == code
    slow = overfit(fitted(0.0, steps=60))
    assert "takes" in only_skip(code, checked(**{name: other}, overfit=slow))
    unfit = overfit(fitted(2.0, steps=40))
    assert "cannot fit" in only_skip(code, checked(**{name: other}, overfit=unfit))
    assert "not known" in only_skip(code, checked(**{name: other}))


def test_a_loss_below_zero_measures_no_fit():
    baseline = run("baseline", alike(2) - 3)
    trace = checked(baseline, blind=run("blind", alike() - 3, inputs="zero"))
    assert "negative" in only_skip("PRB02", trace)


def test_capacity_is_blamed_when_less_regularisation_does_not_help():
    def trace(level, told=None, batch=1.5):
        facts = {"dropout": True} if told is None else told
        other = run("unregularised", noisy(level), told=facts, regularised=False)
        return checked(unregularised=other, overfit=overfit(fitted(batch)))

    assert only_finding("PRB09", trace(1.0)).level is Severity.WARNING
    assert run_rule("PRB09", trace(0.5)) == []
    assert run_rule("PRB09", trace(1.0, batch=0.01)) == []
    assert "turn off" in only_skip("PRB09", trace(1.0, told={}))


@pytest.mark.parametrize(("spread", "judged"), [(0.001, True), (0.3, False)])
def test_help_that_may_be_noise_is_not_judged(spread, judged):
    random = np.random.default_rng(1)
    losses = noisy(0.965) + spread * np.repeat(random.normal(size=20), 5)
    other = run("unregularised", losses, told={"dropout": True}, regularised=False)
    (result,) = run_rule("PRB09", checked(unregularised=other, overfit=overfit(fitted(1.5))))
    assert isinstance(result, Finding) is judged
    assert judged or "noisy" in result.reason
