import pytest
from rules.builders import event, findings, skip_reasons, trace_of

from nntrace.rules import Severity

PLACE = {"file": "train.py", "line": 7}
READ = event("objective", 0, terms=[], **PLACE)


def test_without_the_graph_of_a_loss_nothing_is_judged():
    assert skip_reasons("GRD11", trace_of(steps=20))


def test_a_loss_into_which_no_target_leads_is_healthy():
    assert findings("GRD11", trace_of(steps=20, events=[READ])) == []


@pytest.mark.parametrize(
    ("what", "word"), [("target", "no_grad"), ("weight", "detach()"), ("ratio", "no_grad")]
)
def test_a_gradient_into_what_the_loss_measures_by_is_a_warning(what, word):
    told = event("attached", 3, what=what, **PLACE)
    [finding] = findings("GRD11", trace_of(steps=20, events=[READ, told]))
    assert finding.level is Severity.WARNING
    assert word in finding.advice
    assert finding.location.line == 7


def test_a_number_in_a_loss_is_that_of_another_rule():
    told = event("attached", 3, what="number", function="mse_loss", weight=0.5, **PLACE)
    assert findings("GRD11", trace_of(steps=20, events=[READ, told])) == []
