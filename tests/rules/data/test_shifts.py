from rules.builders import event, findings, skip_reasons, trace_of

from nntrace.rules import Severity

PLACE = {"file": "train.py", "line": 7}
EVENTS = [
    event("loss_call", 0, function="cross_entropy", path="cross_entropy", **PLACE),
    event("objective", 0, terms=[], **PLACE),
]


def test_without_the_graph_of_a_loss_nothing_is_judged():
    assert skip_reasons("DAT23", trace_of(steps=20))


def test_labels_of_the_next_token_are_healthy():
    assert findings("DAT23", trace_of(steps=20, events=EVENTS)) == []


def test_labels_two_positions_on_are_an_error_at_the_loss():
    told = event("shifted", 4, path="cross_entropy", length=32)
    [finding] = findings("DAT23", trace_of(steps=20, events=[*EVENTS, told]))
    assert finding.level is Severity.ERROR
    assert finding.location.line == 7
