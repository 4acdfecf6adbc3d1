"""UPD11: a model that is built anew before each epoch."""

import pytest
from rules.builders import event, findings, trace_of
from rules.updates.parameter_rows import optimizer

from nntrace.rules import Severity

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
