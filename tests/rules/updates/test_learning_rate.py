import numpy as np
import pytest
from rules.builders import event, findings, site, skip_reasons, trace_of

RNG = np.random.default_rng(0)


def weights(ratio, count=2, **update):
    """Weights of size 1 whose updates have the given size at each sampled step."""
    rows = []
    for number in range(count):
        common = {"shape": [64, 64], "numel": 4096, "fan_in": 64, "fan_out": 64}
        rows.append(site(f"fc{number}.weight", "param", rms=1.0, **common))
        rows.append(site(f"fc{number}.weight", "update", rms=ratio, **common, **update))
    return rows


def falling(steps, start, end):
    return (np.linspace(start, end, steps) + RNG.normal(0, 0.01, steps)).tolist()


# UPD07


def trace_of_rate(ratio, losses):
    return trace_of(loss=losses, sites=weights(ratio), lr=0.5)


DIVERGING = [*np.linspace(2.0, 1.5, 30), *np.linspace(1.5, 20.0, 70)]


@pytest.mark.parametrize(("ratio", "found"), [(0.011, 1), (0.009, 0)])
def test_large_updates_and_a_diverging_loss_are_a_rate_too_high(ratio, found):
    assert len(findings("UPD07", trace_of_rate(ratio, DIVERGING))) == found


def test_the_factor_and_the_rate_to_try_are_named():
    [finding] = findings("UPD07", trace_of_rate(0.04, DIVERGING))
    assert finding.evidence["factor"] == 40
    assert "try 0.01" in finding.advice
    assert finding.evidence["loss"][0] == "diverges"


def test_the_rate_named_is_that_of_the_steps_that_are_blamed():
    losses = [*np.linspace(2.0, 1.0, 60), *np.linspace(5.0, 50.0, 10), *np.full(30, 40.0)]
    rates = [0.05] * 60 + [5.0] * 10 + [0.05] * 30
    ratio = [1e-3] * 60 + [0.7] * 10 + [1e-3] * 30
    [finding] = findings("UPD07", trace_of(loss=losses, sites=weights(ratio), lr=rates))
    assert finding.evidence["learning_rate"] == 5.0


def test_large_updates_under_a_flat_loss_are_no_sign_of_the_rate_alone():
    flat = (2.0 + RNG.normal(0, 0.01, 100)).tolist()
    assert findings("UPD07", trace_of_rate(0.04, flat)) == []


# UPD08


@pytest.mark.parametrize(("ratio", "found"), [(1.4e-4, 1), (1.6e-4, 0)])
def test_a_steady_fall_by_tiny_steps_is_a_rate_too_low(ratio, found):
    trace = trace_of(loss=falling(300, 2.0, 1.6), sites=weights(ratio), lr=1e-5)
    results = findings("UPD08", trace)
    assert len(results) == found
    if found:
        assert "try 7e-05" in results[0].advice


@pytest.mark.parametrize(("end", "found"), [(1.3, 1), (1.0, 0)])
def test_progress_is_no_rate_too_low(end, found):
    trace = trace_of(loss=falling(300, 2.0, end), sites=weights(5e-5))
    assert len(findings("UPD08", trace)) == found


def test_a_fall_that_slows_down_is_learning():
    losses = (1.5 + 0.5 * np.exp(-np.arange(300) / 50) + RNG.normal(0, 0.005, 300)).tolist()
    assert findings("UPD08", trace_of(loss=losses, sites=weights(5e-5))) == []


@pytest.mark.parametrize(("bend", "found"), [(0.19, 1), (0.25, 0)])
def test_a_pace_of_less_than_seven_tenths_of_the_first_slows_down(bend, found):
    part = np.linspace(0.0, 1.0, 300)
    losses = 2.0 - 0.4 * (part - bend * part**2) / (1 - bend)
    assert len(findings("UPD08", trace_of(loss=losses.tolist(), sites=weights(5e-5)))) == found


@pytest.mark.parametrize(("steps", "skipped"), [(149, True), (150, False)])
def test_too_few_steps_say_nothing_about_a_rate_too_low(steps, skipped):
    trace = trace_of(loss=falling(steps, 2.0, 1.9), sites=weights(5e-5))
    assert bool(skip_reasons("UPD08", trace)) is skipped


@pytest.mark.parametrize(
    ("rates", "found"),
    [
        (np.linspace(1e-7, 1e-5, 300), True),
        (np.linspace(2e-6, 1e-5, 300), False),
        (np.minimum(np.linspace(1e-7, 2e-5, 300), 1e-5), False),
        ([*np.linspace(1e-7, 1e-5, 299), 0.9e-5], False),
    ],
    ids=["all along", "from a fifth", "and then constant", "until the last step"],
)
def test_a_warm_up_that_outlasts_the_run_is_named(rates, found):
    events = [event("scheduler", 1, scheduler=0, file="train.py", line=9)]
    series = falling(300, 2.0, 1.6)
    [finding] = findings(
        "UPD08", trace_of(loss=series, sites=weights(5e-5), lr=rates, events=events)
    )
    assert ("warms up" in finding.message) == found
    assert not found or finding.location.line == 9


# UPD09


def test_a_rate_too_low_that_nobody_knows_is_told_without_its_number():
    unknown = trace_of(loss=falling(300, 2.0, 1.6), sites=weights(5e-5), lr=None)
    [finding] = findings("UPD08", unknown)
    assert finding.message.startswith("the learning rate is about 20 times too low")
    assert finding.advice == "Multiply the learning rate by up to 20."


def decayed(at, steps=200, to=1e-4, learning=True):
    losses = np.linspace(2.0, 1.0 if learning else 1.99, at).tolist()
    losses += [losses[-1]] * (steps - at)
    noise = RNG.normal(0, 0.003, steps)
    rates = [0.1] * at + [to] * (steps - at)
    return trace_of(loss=(np.array(losses) + noise).tolist(), lr=rates)


@pytest.mark.parametrize(("at", "found"), [(155, 1), (165, 0)])
def test_a_rate_that_vanishes_while_the_loss_falls_wastes_the_rest(at, found):
    assert len(findings("UPD09", decayed(at))) == found


@pytest.mark.parametrize(("steps", "skipped"), [(59, True), (60, False)])
def test_sixty_steps_are_needed_to_call_a_decay_early(steps, skipped):
    assert bool(skip_reasons("UPD09", decayed(40, steps=steps))) is skipped


@pytest.mark.parametrize(("to", "found"), [(0.0, 1), (0.9e-3, 1), (1.1e-3, 0)])
def test_a_hundredth_of_the_rate_is_what_counts(to, found):
    assert len(findings("UPD09", decayed(100, to=to))) == found


@pytest.mark.parametrize(("until", "found"), [(45, 1), (55, 0)])
def test_a_decay_in_two_steps_is_early_where_most_of_the_run_comes_after_it(until, found):
    losses = np.concatenate([np.linspace(2.0, 1.0, 25), np.ones(175)]) + RNG.normal(0, 0.003, 200)
    rates = [0.1] * 25 + [5e-3] * (until - 25) + [1e-4] * (200 - until)
    assert len(findings("UPD09", trace_of(loss=losses.tolist(), lr=rates))) == found


def vanishes(began=40, to=0.9e-6, at=150, end=1.97, start=2.0):
    losses = np.concatenate([np.linspace(start, end, 40), np.full(160, end)])
    rates = [0.1] * began + [5e-3] * (at - began) + [to] * (200 - at)
    return trace_of(loss=(losses + RNG.normal(0, 0.003, 200)).tolist(), lr=rates)


@pytest.mark.parametrize(("change", "found"), [({}, 1), ({"to": 1.1e-6}, 0), ({"end": 0.11}, 1)])
def test_a_rate_that_soon_becomes_nothing_is_early_however_little_the_loss_fell(change, found):
    assert len(findings("UPD09", vanishes(**change))) == found


@pytest.mark.parametrize("change", [{"began": 55}, {"at": 165}, {"end": 0.08}, {"start": 1.97}])
def test_a_rate_that_becomes_nothing_late_or_where_nothing_is_to_be_learned_is_meant(change):
    assert findings("UPD09", vanishes(**change)) == []


@pytest.mark.parametrize(("began", "found"), [(15, 1), (25, 0)])
def test_a_rate_that_was_never_tried_out_is_blamed_for_a_loss_that_stays(began, found):
    assert len(findings("UPD09", vanishes(began=began, start=1.97))) == found


def test_a_rate_that_falls_on_a_plateau_is_meant():
    assert findings("UPD09", decayed(100, learning=False)) == []


@pytest.mark.parametrize(
    ("mode", "values", "rates", "found"),
    [
        ("max", (2.0, 0.5, 0.4), (1e-3, 1e-4), 1),
        ("max", (2.0, 0.5, 0.4), (1e-3, 2e-4), 0),  # hardly reduced
        ("max", (2.0, 1.91, 1.91), (1e-3, 1e-4), 0),  # hardly fallen
        ("max", (0.5, 0.9, 0.5), (1e-3, 1e-4), 0),
        ("min", (2.0, 0.5, 0.4), (1e-3, 1e-4), 0),
    ],
)
def test_a_schedule_that_waits_for_a_loss_to_rise_is_a_warning(mode, values, rates, found):
    given = dict(zip(("first", "last", "lowest"), values, strict=True))
    told = event("scheduler", 99, calls=9, mode=mode, **given, file="train.py", line=7)
    trace = trace_of(loss=[1.0] * 100, lr=[rates[0]] * 40 + [rates[1]] * 60, events=[told])
    results = findings("UPD09", trace)
    assert [finding.location.line for finding in results] == [7] * found
