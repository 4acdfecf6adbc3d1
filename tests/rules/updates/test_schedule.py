import numpy as np
import pytest
from rules.builders import event, findings, skip_reasons, trace_of

from nntrace.rules import Severity


def scheduler(calls, horizon, kind="CosineAnnealingLR", **more):
    payload = {"scheduler": 0, "class": kind, "calls": calls, "horizon": horizon}
    return event("scheduler", 0, **payload, file="train.py", line=7, **more)


def epochs(each, count):
    return [event("epoch", (n + 1) * each, loader=0, epoch=n, steps=each) for n in range(count)]


def cosine(steps, horizon):
    return (0.05 * (1 + np.cos(np.pi * np.arange(steps) / horizon)) + 1e-9).tolist()


@pytest.mark.parametrize(("horizon", "found"), [(10, 1), (60, 0)])
def test_a_schedule_shorter_than_an_epoch_and_stepped_per_batch_is_one_of_epochs(horizon, found):
    events = [scheduler(199, horizon), *epochs(40, 5)]
    trace = trace_of(steps=200, lr=cosine(200, horizon), events=events)
    results = findings("UPD10", trace)
    assert len(results) == found
    if found:
        assert results[0].location.line == 7


@pytest.mark.parametrize(("horizon", "found"), [(38, 0), (39, 1), (40, 1), (41, 1), (42, 0)])
def test_a_schedule_of_as_many_steps_as_there_are_epochs_and_stepped_per_batch_is_one_of_epochs(
    horizon, found
):
    events = [scheduler(639, horizon), *epochs(16, 40)]
    trace = trace_of(steps=640, lr=cosine(640, horizon), events=events)
    assert len(findings("UPD10", trace)) == found


@pytest.mark.parametrize(("horizon", "found"), [(39, 1), (41, 0)])
def test_in_a_loop_without_epochs_a_decay_over_in_a_fifth_of_the_run_was_made_for_some(
    horizon, found
):
    rates = [*cosine(horizon, horizon), *[0.0] * (200 - horizon)]
    rows = trace_of(steps=200, lr=rates, events=[scheduler(199, horizon, "CosineDecay")])
    assert len(findings("UPD10", rows)) == found


def test_a_warm_up_is_over_soon_by_design():
    rows = trace_of(steps=200, lr=0.1, events=[scheduler(199, 10, "CosineDecay")])
    assert findings("UPD10", rows) == []


def test_warm_restarts_repeat_by_design():
    events = [scheduler(199, 10, "CosineAnnealingWarmRestarts"), *epochs(40, 5)]
    assert findings("UPD10", trace_of(steps=200, lr=cosine(200, 10), events=events)) == []


@pytest.mark.parametrize(("steps", "found"), [(201, 0), (219, 0), (221, 1)])
def test_a_decay_to_nothing_over_a_run_of_one_epoch_was_made_for_it(steps, found):
    """A linear schedule over the whole run, which fine-tuning for one epoch has by default."""
    rates = (1e-3 * (1 - np.arange(201) / 201)).tolist() + [1e-5] * (steps - 201)
    events = [scheduler(steps - 1, None, "LambdaLR"), *epochs(200, 1)]
    assert len(findings("UPD10", trace_of(steps=steps, lr=rates, events=events))) == found


@pytest.mark.parametrize(("steps", "skipped"), [(19, True), (20, False)])
def test_a_schedule_is_judged_from_twenty_steps_on(steps, skipped):
    events = [scheduler(steps - 1, 10), *epochs(10, steps // 10)]
    trace = trace_of(steps=steps, lr=cosine(steps, 10), events=events)
    assert bool(skip_reasons("UPD10", trace)) is skipped


@pytest.mark.parametrize(("gamma", "found"), [(0.915, 1), (0.93, 0)])
def test_a_rate_divided_by_thirty_within_an_epoch_is_a_decay_of_epochs(gamma, found):
    rates = (0.1 * gamma ** np.arange(80)).tolist()
    events = [scheduler(79, None, "ExponentialLR"), *epochs(40, 2)]
    assert len(findings("UPD10", trace_of(steps=80, lr=rates, events=events))) == found


@pytest.mark.parametrize("horizon", [None, 10])  # of StepLR the steps from one fall to the next
@pytest.mark.parametrize("made", [epochs(40, 5), []])
@pytest.mark.parametrize(("after", "found"), [(100, 1), (101, 0)])
def test_a_decay_without_an_end_that_leaves_nothing_for_half_of_the_run_is_one_of_epochs(
    after, found, made, horizon
):
    rates = [0.1] * 50 + [0.01] * (after - 50) + [0.99e-4] * (200 - after)
    events = [scheduler(199, horizon, "StepLR"), *made]
    assert len(findings("UPD10", trace_of(steps=200, lr=rates, events=events))) == found


def test_a_rate_that_keeps_a_thousandth_was_not_made_for_epochs():
    rates = [0.1] * 50 + [1.01e-4] * 150
    events = [scheduler(199, None, "StepLR")]
    assert findings("UPD10", trace_of(steps=200, lr=rates, events=events)) == []


@pytest.mark.parametrize(("horizon", "found"), [(200, 1), (185, 1), (100, 0), (400, 0)])
def test_a_schedule_as_long_as_the_run_in_batches_and_stepped_per_epoch(horizon, found):
    events = [scheduler(5, horizon, "OneCycleLR"), *epochs(40, 5)]
    assert len(findings("UPD10", trace_of(steps=200, lr=0.1, events=events))) == found


@pytest.mark.parametrize(
    ("horizon", "found"), [(6079, 0), (6080, 1), (7359, 1), (7361, 0), (200, 0)]
)
def test_a_schedule_as_long_as_the_run_has_examples_counts_the_wrong_thing(horizon, found):
    rates = np.linspace(1e-6, 1e-5, 200)
    events = [scheduler(200, horizon, "CosineDecay"), *epochs(40, 5)]
    results = findings("UPD10", trace_of(steps=200, lr=rates, batch_size=32, events=events))
    assert len(results) == found
    assert all("counts batches" in one.message for one in results)


@pytest.mark.parametrize(("size", "count"), [(3, 5), (32, 1)])
def test_small_batches_and_a_single_epoch_leave_open_what_a_schedule_counts(size, count):
    events = [scheduler(200, 200 * size), *epochs(200 // count, count)]
    trace = trace_of(steps=200, lr=0.1, batch_size=size, events=events)
    assert findings("UPD10", trace) == []


@pytest.mark.parametrize(
    ("horizon", "each", "complete", "found"),
    [
        (800, 160, True, 1),
        (750, 160, True, 0),
        (930, 160, True, 0),
        (200, 160, True, 0),  # of the steps
        (800, 160, False, 0),  # of a run that may have ended early
        (280, 56, True, 0),  # hardly more batches than steps
    ],
)
def test_a_schedule_as_long_as_the_run_has_batches_of_which_several_make_a_step_counts_those(
    horizon, each, complete, found
):
    ends = [
        event("epoch", 40 * (n + 1), loader=0, epoch=n, steps=40, batches=each, complete=complete)
        for n in range(5)
    ]
    events = [scheduler(199, horizon, "OneCycleLR"), *ends]
    results = findings("UPD10", trace_of(steps=200, lr=0.1, events=events))
    assert ["batches make a step" in one.message for one in results] == [True] * found


def test_without_a_scheduler_nothing_can_be_said_of_its_unit():
    assert skip_reasons("UPD10", trace_of(steps=200))
    assert skip_reasons("UPD17", trace_of(steps=200))


@pytest.mark.parametrize(("stepped", "found"), [(False, 1), (True, 0), (None, 0)])
def test_a_scheduler_stepped_before_the_optimizer_loses_its_first_rate(stepped, found):
    events = [scheduler(n, 10, optimizer_stepped=stepped) for n in (1, 2)]
    results = findings("UPD17", trace_of(steps=5, events=events))
    assert [finding.level for finding in results] == [Severity.WARNING] * found


def warmed_up(epochs, each=40, steps=30, end=1.0):
    """Rates that climb in each epoch, and then decline to a share of the highest."""
    within = np.r_[np.arange(1, steps + 1) / steps, np.linspace(1.0, end, each - steps)]
    return (0.1 * np.tile(within, epochs)).tolist()


@pytest.mark.parametrize(("passes", "found"), [(3, 0), (4, 1)])
def test_a_warm_up_in_every_epoch_is_repeated_by_mistake(passes, found):
    events = [scheduler(40 * passes, None, "LambdaLR"), *epochs(40, passes)]
    trace = trace_of(steps=40 * passes, lr=warmed_up(passes), events=events)
    results = findings("UPD10", trace)
    assert len(results) == found
    assert all("begins anew" in finding.message for finding in results)


def test_a_warm_up_that_is_repeated_is_placed_where_its_scheduler_was_built():
    events = [scheduler(199, None, "LambdaLR"), *epochs(40, 5)]
    [finding] = findings("UPD10", trace_of(steps=200, lr=warmed_up(5, end=0.8), events=events))
    assert finding.location.line == 7


@pytest.mark.parametrize(
    "rates",
    [
        warmed_up(5, end=0.05),  # cycles that end low
        np.linspace(0.1, 0.01, 40).tolist() * 5,  # warm restarts begin high
        [0.1, *[0.01] * 39] * 5,  # no climb
        warmed_up(5, each=80),  # periods of two epochs
    ],
)
def test_a_rate_that_goes_up_and_down_by_design_is_left_alone(rates):
    events = [scheduler(len(rates), None, "LambdaLR"), *epochs(40, len(rates) // 40)]
    assert findings("UPD10", trace_of(steps=len(rates), lr=rates, events=events)) == []


@pytest.mark.parametrize(("share", "found"), [(0.49, 1), (0.51, 0)])
def test_the_rate_must_fall_to_less_than_half(share, found):
    rates = np.tile(np.linspace(share, 1.0, 40), 5).tolist()
    events = [scheduler(199, None, "LambdaLR"), *epochs(40, 5)]
    assert len(findings("UPD10", trace_of(steps=200, lr=rates, events=events))) == found


def test_steps_of_two_optimizers_have_their_own_rates():
    names = ["SGD", "Adam"] * 100
    events = [scheduler(199, None, "LambdaLR"), *epochs(40, 5)]
    rows = trace_of(steps=200, lr=warmed_up(5), optimizer=names, events=events)
    assert findings("UPD10", rows) == []


def test_a_rate_that_the_program_computes_itself_is_judged_without_a_scheduler():
    [finding] = findings("UPD10", trace_of(steps=200, lr=warmed_up(5)))
    assert finding.location is None
