"""PRB07: the range of useful learning rates that a sweep shows."""

import numpy as np
import pytest
from rules.builders import run_rule
from rules.checks import checked, fitted, only_finding, only_skip, overfit, run, swept

from nntrace.rules.probes import sweep


@pytest.mark.parametrize("finite", [0, 19])
def test_a_sweep_whose_loss_is_lost_at_once_is_too_short(finite):
    losses = np.where(np.arange(120) == finite, np.nan, 2.0)
    trace = checked(sweep=run("sweep", losses, rates=np.geomspace(1e-7, 10, 120), sweep=True))
    assert "too early" in only_skip("PRB07", trace)


@pytest.mark.parametrize("own", [5.5e-6, 1e-3, 0.3, 1.15])
def test_rates_within_reach_of_the_range_are_left_alone(own):
    assert run_rule("PRB07", swept(own)) == []


@pytest.mark.parametrize(("own", "word"), [(5.2e-6, "too low"), (1.18, "too high")])
def test_rates_far_off_are_blamed(own, word):
    assert word in only_finding("PRB07", swept(own)).message


@pytest.mark.parametrize(("other", "found"), [(0.01, True), (1.5, False)])
def test_a_batch_that_only_another_rate_fits_makes_a_low_rate_too_low(other, found):
    runs = {
        "overfit": overfit(fitted(1.5)),
        "overfit-other-rate": overfit(fitted(other), name="overfit-other-rate"),
    }
    assert bool(run_rule("PRB07", swept(2e-5, **runs))) is found


@pytest.mark.parametrize(("pace", "found"), [(100, False), (400, True)])
def test_a_rate_at_which_one_batch_is_fitted_by_half_and_further_is_none_too_low(pace, found):
    runs = {
        "overfit": overfit(2.3 * np.exp(-np.arange(100) / pace)),
        "overfit-other-rate": overfit(fitted(0.01), name="overfit-other-rate"),
    }
    assert bool(run_rule("PRB07", swept(2e-5, **runs))) is found


def test_a_sweep_that_ends_below_the_scripts_rate_says_nothing_of_it():
    rates = np.geomspace(1e-7, 3e-4, 48)
    losses = 1.5 - 0.5 / (1 + (1e-4 / rates)) + 1e-3 * np.random.default_rng(0).normal(size=48)
    short = checked(sweep=run("sweep", losses, rates=rates, told={"rate": 2e-3}, sweep=True))
    assert "before it reached the script's own (2.0e-03)" in only_skip("PRB07", short)
    assert "`nntrace check --steps 48`" in only_skip("PRB07", short)
    flat = run("sweep", np.full(48, 2.3), rates=rates, told={"rate": 2e-3}, sweep=True)
    assert "before it reached the script's own" in only_skip("PRB07", checked(sweep=flat))
    long = checked(sweep=run("sweep", losses, rates=rates, told={"rate": 5e-4}, sweep=True))
    assert run_rule("PRB07", long) == []


def test_the_noise_of_tiny_batches_makes_no_range():
    rates = np.geomspace(1e-7, 10, 200)
    course = np.where(rates > 0.5, 1 + (rates / 0.5) ** 2, 1.0)
    for seed in range(60):
        losses = course * np.exp(0.1 * np.random.default_rng(seed).normal(size=200))
        runs = run("sweep", losses, rates=rates, told={"rate": 1e-5}, sweep=True)
        assert "noise" in only_skip("PRB07", checked(sweep=runs)), seed


def test_a_range_is_a_decade_wide_though_the_loss_falls_within_few_steps():
    rates = np.geomspace(1e-7, 10, 96)
    losses = np.where(rates > 2.5e-3, 0.4, 0.693)
    losses = np.where(rates > 1e-2, 0.7, losses) + 1e-3 * np.random.default_rng(0).normal(size=96)
    losses = np.where(rates > 0.2, 5.0, losses)
    found = sweep(run("sweep", losses, rates=rates, told={"rate": 5e-4}, sweep=True))
    assert 2e-4 < found.low < 4e-4
    assert found.high == pytest.approx(10 * found.low)


def test_a_range_does_not_begin_at_a_lucky_batch():
    rates = np.geomspace(1e-7, 10, 120)
    random = np.random.default_rng(3)
    losses = 0.693 - 0.1 / (1 + (1e-2 / rates) ** 2) + 0.012 * random.normal(size=120)
    losses[15:18] = 0.66
    found = sweep(run("sweep", losses, rates=rates, told={"rate": 1e-3}, sweep=True))
    assert found.low > 1e-4


def test_a_sweep_without_any_fall_is_not_judged():
    rates = np.geomspace(1e-7, 10, 120)
    flat = 2.3 + 0.05 * np.random.default_rng(0).normal(size=120)
    trace = checked(sweep=run("sweep", flat, rates=rates, told={"rate": 1e-3}, sweep=True))
    assert "noise" in only_skip("PRB07", trace)


def test_steps_at_one_rate_have_one_place_in_the_sweep():
    rates = np.repeat(np.geomspace(1e-7, 10, 40), 3)
    losses = 2.3 - 2.0 / (1 + (1e-3 / rates) ** 1.5)
    course = run("sweep", losses, rates=rates, told={"rate": 1e-3}, sweep=True)
    found = sweep(course)
    assert 1e-4 < found.steepest < 1e-2
