import pytest
from rules.builders import event, findings, trace_of

from nntrace.rules import Severity


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
