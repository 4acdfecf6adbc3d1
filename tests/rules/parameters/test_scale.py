import numpy as np
import pytest
from rules.builders import batches, event, findings, site, skip_reasons, trace_of

from nntrace.rules import Severity

STEPS = 30
FALLING = list(np.geomspace(1, 0.01, STEPS))


def weight(path, rms, fan_in=100, **columns):
    owner = {"module_type": "Linear", "parent": "a", "shape": [64, 100], "numel": 6400}
    return site(path, "param", rms=rms, fan_in=fan_in, fan_out=64, **owner, **columns)


def trace(*sites, loss=1.0, steps=STEPS):
    return trace_of(steps=steps, loss=loss, sites=sites)


def growth(end, start=0.1):
    return list(np.linspace(start, end, STEPS))


@pytest.mark.parametrize(("end", "found"), [(1.1, 1), (0.95, 0)])
def test_weights_that_grow_tenfold_and_on_are_an_error(end, found):
    results = findings("PAR02", trace(weight("a.weight", growth(end))))
    assert len(results) == found
    assert all(f.level is Severity.ERROR for f in results)


@pytest.mark.parametrize("code", ["PAR02", "PAR03"])
@pytest.mark.parametrize(("samples", "skipped"), [(9, True), (10, False)])
def test_ten_samples_of_weights_are_needed(code, samples, skipped):
    assert bool(skip_reasons(code, trace(weight("a.weight", 0.1), steps=samples))) is skipped


@pytest.mark.parametrize(("last", "explained"), [(11.0, ("LOS08", "GRD02", "GRD05")), (9.0, ())])
def test_targets_that_run_away_with_the_weights_take_the_loss_along(last, explained):
    sizes = [*[1.0] * 5, *np.geomspace(1, last, 20), *[last] * 5]
    data = batches(STEPS, target_mean=sizes, target_std=0.0)
    rows = trace_of(steps=STEPS, loss=1.0, sites=[weight("a.weight", growth(5.0))], batches=data)
    [finding] = findings("PAR02", rows)
    assert finding.explains == explained
    assert ("the targets grow along, 11 times" in finding.message) is bool(explained)
    assert ("target network" in finding.advice) is bool(explained)


@pytest.mark.parametrize(("lengths", "found"), [((9, 12, 10, 30), 1), ((9, 12, 10, 30, 25), 0)])
def test_weights_may_grow_where_an_agent_plays_episodes_between_the_steps(lengths, found):
    events = [event("objective", 0, terms=["other"])]
    events += [event("evaluation", 5 * n, calls=calls) for n, calls in enumerate(lengths)]
    rows = trace_of(steps=STEPS, loss=1.0, sites=[weight("a.weight", growth(5.0))], events=events)
    assert len(findings("PAR02", rows)) == found


@pytest.mark.parametrize(("end", "found"), [(0.9, 0), (1.1, 1)])
def test_a_class_token_that_starts_at_a_millionth_may_grow_to_the_scale_of_its_width(end, found):
    token = site("token", "param", rms=growth(end, start=1e-6), shape=[1, 1, 100], numel=100)
    assert len(findings("PAR02", trace(token))) == found


def test_layers_that_start_tiny_may_grow_to_the_usual_scale():
    assert not findings("PAR02", trace(weight("a.weight", growth(0.5, start=0.001))))


@pytest.mark.parametrize(("end", "found"), [(0.6, 1), (0.4, 0)])
def test_weights_may_grow_while_the_loss_comes_down(end, found):
    rows = trace(weight("a.weight", growth(5.0)), loss=[1.0] * 5 + [end] * 25)
    assert len(findings("PAR02", rows)) == found


@pytest.mark.parametrize(("power", "found"), [(1.3, 1), (1.0, 0)])
def test_weights_that_grow_under_a_loss_that_falls_below_zero_without_end_are_an_error(
    power, found
):
    loss = (3.0 - np.arange(STEPS) ** power).tolist()
    assert len(findings("PAR02", trace(weight("a.weight", growth(5.0)), loss=loss))) == found


@pytest.mark.parametrize(("end", "found"), [(0.85, 1), (0.7, 0)])
def test_weights_may_grow_while_the_loss_falls_to_the_end(end, found):
    falling = np.linspace(1.0, end, STEPS).tolist()
    assert len(findings("PAR02", trace(weight("a.weight", growth(5.0)), loss=falling))) == found


def test_weights_that_have_settled_at_a_high_level_are_healthy():
    settled = [0.1] * 5 + [5.0] * 25
    assert not findings("PAR02", trace(weight("a.weight", settled)))


def test_frozen_weights_are_not_judged():
    assert skip_reasons("PAR02", trace(weight("a.weight", growth(5.0), requires_grad=False)))


@pytest.mark.parametrize(("end", "found"), [(0.0009, 1), (0.0011, 0), (0.0, 1)])
def test_weights_that_fade_a_hundredfold_are_a_warning(end, found):
    fading = [*np.geomspace(0.1, 0.01, 20), *[end] * 10]
    results = findings("PAR03", trace(weight("a.weight", fading)))
    assert len(results) == found
    assert all(f.level is Severity.WARNING for f in results)


def test_weights_that_recover_are_healthy():
    back = [0.1, *[0.0001] * 20, *[0.05] * 9]
    assert not findings("PAR03", trace(weight("a.weight", back)))


def test_weights_that_start_at_zero_have_nothing_to_lose():
    assert not findings("PAR03", trace(weight("a.weight", 0.0)))


@pytest.mark.parametrize("code", ["PAR02", "PAR03"])
def test_nine_samples_are_too_few(code):
    assert skip_reasons(code, trace(weight("a.weight", 0.1), steps=9))
