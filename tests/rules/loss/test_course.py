import numpy as np
import pytest
from rules.builders import batches, event, findings, skip_reasons, trace_of

from nntrace.rules.common.signals import trend_z
from nntrace.schema import RunStatus

RNG = np.random.default_rng(0)
FALLING = 2.0 * np.exp(-np.arange(200) / 60) + 0.1
NOISE = RNG.normal(0, 0.02, 200)


def course(values, **columns):
    return trace_of(loss=list(map(float, values)), **columns)


@pytest.mark.parametrize(("code", "needed"), [("LOS09", 50), ("LOS10", 40), ("LOS15", 100)])
def test_a_shorter_course_is_not_judged(code, needed):
    assert skip_reasons(code, course(FALLING[: needed - 1]))
    assert not skip_reasons(code, course(FALLING[:needed]))


# LOS09


def spiked(height, width, at=150):
    values = FALLING + NOISE
    values[at : at + width] += height
    return course(values)


@pytest.mark.parametrize(("width", "found"), [(1, 0), (2, 0), (3, 1), (8, 1)])
def test_a_jump_that_lasts_three_steps_is_a_spike(width, found):
    results = findings("LOS09", spiked(3.0, width))
    assert len(results) == found
    assert all(finding.steps == (150, 150 + width - 1) for finding in results)


@pytest.mark.parametrize(("height", "found"), [(0.9, 0), (1.2, 1)])
def test_a_jump_within_half_of_the_first_loss_is_a_hard_batch(height, found):
    assert len(findings("LOS09", spiked(height, 5))) == found


@pytest.mark.parametrize(("height", "found"), [(0.8, 0), (1.4, 1)])
def test_a_jump_within_ten_deviations_of_the_noise_is_a_hard_batch(height, found):
    values = 1.0 + 5 * NOISE
    values[150:155] = 1.0 + height
    assert len(findings("LOS09", course(values))) == found


@pytest.mark.parametrize(("at", "found"), [((150, 152), 0), ((150, 152, 154), 1)])
def test_steps_between_high_losses_do_not_count(at, found):
    values = FALLING + NOISE
    values[list(at)] += 3.0
    assert len(findings("LOS09", course(values))) == found


def test_a_spike_at_the_end_has_not_recovered():
    [finding] = findings("LOS09", spiked(3.0, 5, at=195))
    assert "not come back" in finding.message


@pytest.mark.parametrize(
    ("function", "every", "skipped"), [("mse_loss", 1, 1), ("mse_loss", 2, 0), ("nll_loss", 1, 0)]
)
def test_a_network_that_makes_the_targets_of_every_step_may_be_renewed(function, every, skipped):
    passes = [event("evaluation", step, group=0) for step in range(0, 60, every)]
    values = FALLING + NOISE
    values[150:158] += 3.0
    trace = course(values, events=[event("loss_call", function=function), *passes])
    assert len(skip_reasons("LOS09", trace)) == skipped


@pytest.mark.parametrize(
    ("examples", "every", "skipped"), [(1, 4, 1), (1, 5, 0), (2, 4, 0), (None, 4, 0)]
)
def test_an_agent_that_acts_between_steps_may_have_made_their_targets(examples, every, skipped):
    acts = [event("evaluation", step, examples=examples) for step in range(0, 120, every)]
    trace = course(FALLING + NOISE, events=[event("loss_call", function="huber_loss"), *acts])
    assert len(skip_reasons("LOS09", trace)) == skipped


@pytest.mark.parametrize("seed", range(5))
def test_the_losses_of_small_batches_are_no_spikes(seed):
    rng = np.random.default_rng(seed)
    assert findings("LOS09", course(rng.lognormal(0, 1.0, 300) * np.linspace(2, 0.3, 300))) == []


# LOS10


def alternating(size, drift=0.0, count=100):
    steps = np.arange(count)
    values = 1.0 + size / 2 * (-1.0) ** steps + drift * (1 - steps / count)
    return course(values)


@pytest.mark.parametrize(("size", "found"), [(0.09, 0), (0.11, 1)])
def test_a_loss_that_alternates_by_a_tenth_is_a_warning(size, found):
    assert len(findings("LOS10", alternating(size))) == found


@pytest.mark.parametrize(("drift", "found"), [(1.2, 0), (1.0, 1)])
def test_an_alternation_within_the_progress_made_is_healthy(drift, found):
    assert len(findings("LOS10", alternating(0.2, drift=drift))) == found


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("count", [40, 100, 1000])
def test_noise_does_not_oscillate(seed, count):
    values = 1.0 + 0.3 * np.random.default_rng(seed).normal(size=count)
    assert findings("LOS10", course(np.abs(values))) == []


def test_a_loss_of_which_four_of_five_changes_reverse_the_one_before_does_not_oscillate():
    changes = [1, -1, 1, -1, 1, 1, -1, 1, -1, -1] * 100
    assert findings("LOS10", course(1.0 + 0.2 * np.cumsum(changes))) == []


@pytest.mark.parametrize(("seed", "count"), [(93, 44), (159, 56)])
def test_a_short_run_whose_noise_alternates_by_chance_does_not_oscillate(seed, count):
    values = 1.0 + 0.3 * np.random.default_rng(seed).normal(size=count)
    assert findings("LOS10", course(np.abs(values))) == []


@pytest.mark.parametrize(("size", "found"), [(2.7e-3, 0), (3.3e-3, 1)])
def test_what_is_left_of_a_solved_problem_may_alternate(size, found):
    values = np.concatenate([np.ones(10), size * (1.0 + 0.5 * (-1.0) ** np.arange(100))])
    assert len(findings("LOS10", course(values))) == found


def test_two_batches_in_turn_have_different_losses():
    rows = batches(100, fingerprint=[1, 2] * 50)
    values = [1.2, 0.8] * 50
    assert skip_reasons("LOS10", trace_of(loss=values, batches=rows))


def by_two_functions(second):
    rows = batches(100, loss_path=["cross_entropy", second] * 50)
    return trace_of(loss=[1.2, 0.8] * 50, batches=rows)


def test_two_loss_functions_in_turn_differ():
    assert skip_reasons("LOS10", by_two_functions("mse_loss"))
    assert findings("LOS10", by_two_functions("cross_entropy"))


# LOS15


@pytest.mark.parametrize(("end", "found"), [(0.88, 0), (0.84, 1)])
def test_a_loss_that_falls_to_the_end_is_a_note(end, found):
    values = np.concatenate([np.linspace(3, 1, 150), np.linspace(1, end, 50)])
    values += RNG.normal(0, 0.003, 200)
    assert len(findings("LOS15", course(values))) == found


@pytest.mark.parametrize(("noise", "found"), [(0.1, 0), (0.06, 1)])
def test_a_fall_that_noise_may_have_made_is_none(noise, found):
    last = np.linspace(1.0, 0.7, 40) + noise * np.random.default_rng(3).normal(size=40)
    assert trend_z(last) == pytest.approx(-5.0, abs=1.1)
    assert len(findings("LOS15", course([*np.linspace(3, 1, 120), *last]))) == found


def test_a_learning_rate_decayed_to_the_end_is_no_early_stop():
    values = np.linspace(3, 1, 200)
    assert findings("LOS15", course(values, lr=np.linspace(1, 0.19, 200))) == []
    assert findings("LOS15", course(values, lr=np.linspace(1, 0.21, 200)))


def test_a_run_that_still_goes_on_is_not_judged(monkeypatch):
    trace = course(np.linspace(3, 1, 200))
    monkeypatch.setattr(type(trace), "status", RunStatus.RUNNING)
    assert skip_reasons("LOS15", trace)
