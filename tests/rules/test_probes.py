"""Probes on synthetic checks: every verdict just inside and just outside its threshold."""

import numpy as np
import pytest
from rules.builders import site, trace_of
from rules.checks import checked, noisy, run, step, swept

from nntrace.rules import Finding, Severity, Skipped, get_rule
from nntrace.rules.probes import fit, sweep
from nntrace.trace import Trace


def fitted(last, steps=100, start=2.3):
    """Falls to `last` in its first half, and stays."""
    return np.concatenate([np.geomspace(start, max(last, 1e-4), steps // 2), [last] * (steps // 2)])


def verdict(code, trace):
    return list(get_rule(code).run(trace))


def only_finding(code, trace):
    (finding,) = verdict(code, trace)
    assert isinstance(finding, Finding), finding
    return finding


def only_skip(code, trace):
    (skipped,) = verdict(code, trace)
    assert isinstance(skipped, Skipped), skipped
    return skipped.reason


def overfit(losses, name="overfit", **options):
    options.setdefault("told", {"floor": 0.0})
    return run(name, losses, pinned=True, **options)


def test_a_probe_names_the_experiment_it_needs():
    reason = only_skip("PRB01", Trace.from_rows(steps=[step(n) for n in range(5)]))
    assert "nntrace check" in reason


@pytest.mark.parametrize("finite", [0, 19])
def test_a_sweep_whose_loss_is_lost_at_once_is_too_short(finite):
    losses = np.where(np.arange(120) == finite, np.nan, 2.0)
    trace = checked(sweep=run("sweep", losses, rates=np.geomspace(1e-7, 10, 120), sweep=True))
    assert "too early" in only_skip("PRB07", trace)


def test_passive_rules_and_probes_leave_a_run_alone_that_was_interfered_with():
    assert "interfered" in only_skip("LOS07", overfit(noisy(2.0)))


@pytest.mark.parametrize(("last", "found"), [(0.22, False), (0.24, True)])
def test_a_batch_is_fitted_at_nine_tenths_of_the_way(last, found):
    results = verdict("PRB01", checked(overfit=overfit(fitted(last))))
    assert [isinstance(result, Finding) for result in results] == [True] * found


def test_the_way_ends_at_the_floor_of_soft_targets():
    assert verdict("PRB01", checked(overfit=overfit(fitted(0.6), told={"floor": 0.5}))) == []


@pytest.mark.parametrize(("accuracy", "found"), [(0.98, True), (1.0, False)])
def test_every_prediction_right_is_a_fit_half_way(accuracy, found):
    run_of_it = overfit(fitted(1.0), accuracy=[accuracy] * 100)
    assert bool(verdict("PRB01", checked(overfit=run_of_it))) is found


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


def test_inputs_that_win_by_little_but_at_every_step_are_of_use():
    trace = checked(blind=run("blind", noisy(1.05), inputs="zero"))
    assert verdict("PRB02", trace) == []


@pytest.mark.parametrize(("blind", "blamed"), [(0.2, True), (0.24, False)])
def test_a_loss_that_inputs_lower_is_not_one_that_does_not_fall(blind, blamed):
    steps = 200
    baseline = run("baseline", noisy(0.2, steps, start=0.201, noise=0.05))
    trace = checked(baseline, blind=run("blind", noisy(blind, steps, start=0.201), inputs="zero"))
    assert any(isinstance(found, Finding) for found in verdict("LOS07", trace)) is blamed


def test_equal_losses_in_every_digit_need_no_further_proof():
    trace = checked(blind=run("blind", noisy(1.0), inputs="zero"))
    assert "does not depend" in only_finding("PRB02", trace).message


@pytest.mark.parametrize(("level", "judged"), [(0.45, False), (0.55, True)])
def test_inputs_that_are_the_targets_too_are_not_judged(level, judged):
    blind = run("blind", noisy(level), inputs="zero")
    trace = checked(blind=blind, overfit=overfit(fitted(0.0, steps=40)))
    assert isinstance(verdict("PRB02", trace)[0], Finding) is judged


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


@pytest.mark.parametrize("own", [2e-5, 1e-3, 0.3, 1.0])
def test_rates_within_reach_of_the_range_are_left_alone(own):
    assert verdict("PRB07", swept(own)) == []


@pytest.mark.parametrize(("own", "word"), [(1e-6, "too low"), (3.0, "too high")])
def test_rates_far_off_are_blamed(own, word):
    assert word in only_finding("PRB07", swept(own)).message


@pytest.mark.parametrize(("other", "found"), [(0.01, True), (1.5, False)])
def test_a_batch_that_only_another_rate_fits_makes_a_low_rate_too_low(other, found):
    runs = {
        "overfit": overfit(fitted(1.5)),
        "overfit-other-rate": overfit(fitted(other), name="overfit-other-rate"),
    }
    assert bool(verdict("PRB07", swept(2e-5, **runs))) is found


@pytest.mark.parametrize(("pace", "found"), [(100, False), (400, True)])
def test_a_rate_at_which_one_batch_is_fitted_by_half_and_further_is_none_too_low(pace, found):
    runs = {
        "overfit": overfit(2.3 * np.exp(-np.arange(100) / pace)),
        "overfit-other-rate": overfit(fitted(0.01), name="overfit-other-rate"),
    }
    assert bool(verdict("PRB07", swept(2e-5, **runs))) is found


def test_a_sweep_that_ends_below_the_scripts_rate_says_nothing_of_it():
    rates = np.geomspace(1e-7, 3e-4, 48)
    losses = 1.5 - 0.5 / (1 + (1e-4 / rates)) + 1e-3 * np.random.default_rng(0).normal(size=48)
    short = checked(sweep=run("sweep", losses, rates=rates, told={"rate": 2e-3}, sweep=True))
    assert "before it reached the script's own (2.0e-03)" in only_skip("PRB07", short)
    long = checked(sweep=run("sweep", losses, rates=rates, told={"rate": 5e-4}, sweep=True))
    assert verdict("PRB07", long) == []


def test_an_experiment_that_was_not_made_is_named():
    assert only_skip("PRB07", checked()) == "its experiment 'sweep' was not run"


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


def test_two_equal_runs_are_reproducible_and_two_others_are_not():
    assert verdict("PRB08", checked(repeat=run("repeat", noisy(1.0)))) == []
    other = noisy(1.0)
    other[7:] *= 1.01
    finding = only_finding("PRB08", checked(repeat=run("repeat", other)))
    assert finding.steps[0] == 7
    assert finding.level is Severity.WARNING


ANSWER = {"state": "found", "text": "what was seen", "evidence": {}}


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("PRB03", {"mixing": ANSWER}),
        ("PRB04", {"causality": ANSWER}),
        ("PRB05", {"functions": {"Square": ANSWER}}),
    ],
)
def test_what_a_replay_found_noted_or_could_not_see(code, told):
    def answer(state):
        changed = {
            name: {**value, "state": state}
            if "state" in value
            else {key: {**one, "state": state} for key, one in value.items()}
            for name, value in told.items()
        }
        return verdict(code, checked(repeat=run("repeat", noisy(1.0), told=changed)))

    assert answer("clean") == []
    assert answer("found")[0].level is Severity.ERROR
    assert answer("noted")[0].level is Severity.INFO
    assert isinstance(answer("unknown")[0], Skipped)
    assert isinstance(verdict(code, checked(repeat=run("repeat", noisy(1.0))))[0], Skipped)


def test_capacity_is_blamed_when_less_regularisation_does_not_help():
    def trace(level, told=None, batch=1.5):
        facts = {"dropout": True} if told is None else told
        other = run("unregularised", noisy(level), told=facts, regularised=False)
        return checked(unregularised=other, overfit=overfit(fitted(batch)))

    assert only_finding("PRB09", trace(1.0)).level is Severity.WARNING
    assert verdict("PRB09", trace(0.5)) == []
    assert verdict("PRB09", trace(1.0, batch=0.01)) == []
    assert "turn off" in only_skip("PRB09", trace(1.0, told={}))


@pytest.mark.parametrize(("spread", "judged"), [(0.001, True), (0.3, False)])
def test_help_that_may_be_noise_is_not_judged(spread, judged):
    random = np.random.default_rng(1)
    losses = noisy(0.965) + spread * np.repeat(random.normal(size=20), 5)
    other = run("unregularised", losses, told={"dropout": True}, regularised=False)
    (result,) = verdict("PRB09", checked(unregularised=other, overfit=overfit(fitted(1.5))))
    assert isinstance(result, Finding) is judged
    assert judged or "noisy" in result.reason
