import pytest
from rules.builders import event, findings, skip_reasons, trace_of


def loads(*reasons):
    facts = {"module": 1, "class": "Net", "given": "module.a", "wanted": "a", "line": 9}
    made = [
        event("loaded", step, why=why, file="t.py", **facts) for step, why in enumerate(reasons)
    ]
    return trace_of(steps=20, events=[event("device"), *made])


@pytest.mark.parametrize(("why", "words"), [("own", "references"), ("unmatched", "`module.a`")])
def test_weights_that_change_nothing_are_a_warning_at_their_line(why, words):
    [finding] = findings("RUN15", loads(why))
    assert words in finding.message
    assert finding.location.line == 9


def test_a_later_attempt_that_works_is_healthy():
    assert findings("RUN15", loads("unmatched", None)) == []


def test_a_framework_that_does_not_tell_is_skipped():
    assert skip_reasons("RUN15", trace_of(steps=20))
