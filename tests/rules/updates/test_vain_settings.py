import pytest
from rules.builders import event, findings, trace_of

from nntrace.manifest import Manifest
from nntrace.rules import Severity
from nntrace.schema import RunStatus


def told(setting="lr", rates=0.1, **payload):
    where = {"file": "train.py", "line": 7}
    values = {"optimizer": "SGD", "setting": setting, "value": 0.01, "in_force": 0.1}
    events = [event("vain_setting", 12, **{**values, **where, **payload})]
    names = ["SGD"] * 40
    return findings("UPD18", trace_of(steps=40, lr=rates, optimizer=names, events=events))


def test_a_rate_that_nothing_reads_has_no_effect():
    [finding] = told()
    assert finding.level is Severity.WARNING
    assert finding.location.line == 7
    assert finding.steps == (12, 12)


def test_a_rate_that_changes_all_the_same_may_be_computed_from_it():
    assert told(rates=[0.1] * 20 + [0.05] * 20) == []


def test_of_other_settings_the_rate_says_nothing():
    assert len(told("weight_decay", rates=[0.1] * 20 + [0.05] * 20)) == 1


@pytest.mark.parametrize("key", ["optimizer", "setting", "value", "in_force"])
def test_an_event_that_lacks_a_key_is_passed_over(key):
    assert told(**{key: None}) == []


def scheduled(calls=0, passes=2, rates=0.1, status=RunStatus.FINISHED, **payload):
    values = {"scheduler": 0, "class": "StepLR", "optimizer": "SGD", "calls": calls, "horizon": 5}
    over = {"loader": 0, "batches": 20, "steps": 20, "complete": True}
    events = [event("epoch", 20 * n + 19, epoch=n, **over) for n in range(passes)]
    events.append(event("scheduler", 39, **{**values, **payload}))
    own = {"lr": rates, "optimizer": ["SGD"] * 40, "events": events}
    trace = trace_of(steps=40, **own)
    trace.manifest = Manifest("run", status=status)
    return findings("UPD18", trace)


def test_a_scheduler_that_nobody_steps_has_no_effect():
    [finding] = scheduled(file="train.py", line=9)
    assert finding.level is Severity.WARNING
    assert finding.location.line == 9
    assert "StepLR" in finding.message


@pytest.mark.parametrize(
    "other",
    [
        {"calls": 1},
        {"passes": 1},
        {"rates": [0.1] * 39 + [0.01]},
        {"status": RunStatus.FAILED},
        {"optimizer": ""},
    ],
)
def test_one_that_is_stepped_or_may_still_be_or_has_another_beside_it_is_left_alone(other):
    assert scheduled(**other) == []
