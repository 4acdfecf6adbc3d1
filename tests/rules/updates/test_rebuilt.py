"""UPD11: an optimizer that is built again, and a model that is built anew before each epoch."""

import numpy as np
import pytest
from rules.builders import event, findings, trace_of
from rules.updates.parameter_rows import optimizer

from nntrace.rules import Severity


def rebuilt(times, **values):
    return [optimizer(20 * n, n + 1, **values) for n in range(times + 1)]


@pytest.mark.parametrize(("times", "found"), [(1, 0), (2, 1)])
def test_an_optimizer_that_is_built_again_and_again_is_an_error(times, found):
    results = findings("UPD11", trace_of(steps=100, events=rebuilt(times)))
    assert [finding.level for finding in results] == [Severity.ERROR] * found
    if found:
        assert results[0].evidence["built"] == 3
        assert results[0].steps[0] == 20


def test_one_that_is_built_once_is_not_built_again_whatever_the_threshold():
    assert findings("UPD11", trace_of(steps=100, events=rebuilt(0)), rebuilt=0) == []


def test_one_with_a_name_of_its_own_is_known_by_the_first_that_it_replaces():
    events = [optimizer(0, 1), optimizer(20, 2, name="Adam.2", replaces="Adam")]
    events += [optimizer(40, 3, name="Adam.3", replaces="Adam")]
    [finding] = findings("UPD11", trace_of(steps=100, events=events))
    assert (finding.evidence["built"], finding.evidence["steps_between"]) == (3, 20.0)


def test_one_that_comes_back_with_another_rate_is_a_warning():
    events = [optimizer(20 * n, n + 1, lr=0.1 / (n + 1)) for n in range(4)]
    [finding] = findings("UPD11", trace_of(steps=100, events=events))
    assert finding.level is Severity.WARNING


@pytest.mark.parametrize(("factor", "found"), [(0.5, 0), (0.51, 1)])
def test_phases_that_begin_with_at_most_half_the_rate_are_a_schedule(factor, found):
    events = [optimizer(20 * n, n + 1, lr=factor**n) for n in range(4)]
    assert len(findings("UPD11", trace_of(steps=100, events=events))) == found


@pytest.mark.parametrize(("cells", "found"), [([7, 8, 9], 0), ([7, 8, 8, 8], 1)])
def test_a_cell_of_a_notebook_that_is_run_again_goes_on_as_it_was_meant(cells, found):
    events = [optimizer(20 * n, n + 1, cell=cell) for n, cell in enumerate(cells)]
    results = findings("UPD11", trace_of(steps=100, events=events))
    assert [finding.evidence["built"] for finding in results] == [3] * found


@pytest.mark.parametrize(("back", "found"), [(2.0, 0), (1.8, 0), (1.5, 1), (1.0, 1)])
def test_an_optimizer_of_a_training_that_begins_anew_has_nothing_to_keep(back, found):
    falls = np.linspace(2.0, 1.0, 20)
    again = np.linspace(back, min(back, 1.0), 20)
    trace = trace_of(loss=[*falls, *again, *again, *again, *again], events=rebuilt(4))
    assert len(findings("UPD11", trace)) == found


@pytest.mark.parametrize(("passes", "found"), [(1, 1), (2, 0)])
def test_one_for_several_passes_over_the_data_each_belongs_to_a_phase(passes, found):
    length = 20 // passes
    ends = [event("epoch", n, loader=n, steps=length) for n in range(length, 101, length)]
    trace = trace_of(steps=100, events=[*rebuilt(4), *ends])
    assert len(findings("UPD11", trace)) == found


@pytest.mark.parametrize(
    ("every", "ends", "rests", "level"),
    [
        (50, (), (), Severity.INFO),
        (49, (), (), Severity.ERROR),
        (50, (50, 100, 150, 200, 250), (), Severity.ERROR),  # passes over a loader: epochs
        (50, (), (49, 99, 149, 199, 249), Severity.ERROR),  # the rest of the data at the end
        (50, (), range(24, 250, 25), Severity.INFO),  # two passes for each
    ],
)
def test_many_steps_over_batches_made_by_hand_may_be_a_round(every, ends, rests, level):
    built = [optimizer(every * n, n + 1) for n in range(5)]
    passes = [event("epoch", n, loader=1, steps=every) for n in ends]
    sizes = [24 if step in rests else 32 for step in range(250)]
    trace = trace_of(steps=250, batch_size=sizes, events=[*built, *passes])
    [finding] = findings("UPD11", trace)
    assert finding.level is level


def test_plain_sgd_loses_nothing():
    assert findings("UPD11", trace_of(steps=100, events=rebuilt(5, stateful=False))) == []


PLACE = {"file": "train.py", "line": 7, "parameters": 4}


def models(count=5, *, rate=0.1, loaders=(0,), passes=1, line=7, more=()):
    """`count` models, each trained for ten steps by an optimizer of its own."""
    names = [f"Adam.{n}" for n in range(count)]
    built = [optimizer(10 * n, 1, name=name, **PLACE) for n, name in enumerate(names)]
    built[-1] = optimizer(10 * (count - 1), 1, name=names[-1], lr=rate, **{**PLACE, "line": line})
    ends = [
        event("epoch", 10 * n + 10 * (k + 1) // passes, epoch=k, steps=10 // passes,
              loader=loaders[n % len(loaders)], batches=10, examples=320)
        for n in range(count) for k in range(passes)
    ]  # fmt: skip
    by = [name for name in names for _ in range(10)]
    return trace_of(steps=10 * count, optimizer=by, events=[*built, *ends, *more])


def test_five_models_of_one_epoch_each_are_a_warning():
    [finding] = findings("UPD11", models())
    assert finding.level is Severity.WARNING
    assert "5 of them" in finding.message
    assert finding.evidence["steps_between"] == 10.0
    assert finding.location.line == 7


@pytest.mark.parametrize(
    "trials",
    [
        {"count": 4},
        {"rate": 0.2},  # a search
        {"line": 8},
        {"passes": 2},
        {"loaders": (0, 1)},  # folds
        {"more": [event("seed", 20, seed="2")]},  # repeated with other seeds
    ],
)
def test_what_may_be_meant_as_trials_is_left_alone(trials):
    assert findings("UPD11", models(**trials)) == []


def test_the_optimizers_of_the_parts_of_one_model_take_turns():
    events = [optimizer(0, 1, name=f"Adam.{n}", **PLACE) for n in range(5)]
    events += [event("epoch", 10 * (n + 1), epoch=n, steps=10, loader=0) for n in range(5)]
    by = [f"Adam.{n % 5}" for n in range(50)]
    assert findings("UPD11", trace_of(steps=50, optimizer=by, events=events)) == []
