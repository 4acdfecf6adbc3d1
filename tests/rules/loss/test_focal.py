import pytest
from rules.activations.test_architecture import graph
from rules.builders import event, run_rule, trace_of

from nntrace.rules import Finding

FOCAL = (":nllloss :neg :exp :rsub :pow :mul#w", ":nllloss :mul#w")


def told(*chains, reduction="mean", targets=(32,), function="cross_entropy", more=()):
    facts = {"reduction": reduction, "shape": [*targets, 4], "target_shape": [*targets]}
    call = event("loss_call", function=function, path="loss", file="t.py", line=7, **facts)
    trace = trace_of(loss=[0.7] * 4, events=[call, *more, graph("head :logsoftmax", *chains)])
    return [result for result in run_rule("LOS06", trace) if isinstance(result, Finding)]


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_a_focal_weight_made_of_the_loss_of_a_batch_is_a_warning(reduction):
    (finding,) = told(":logsoftmax :nllloss", *FOCAL, reduction=reduction)
    assert reduction in finding.message
    assert finding.location.line == 7


def test_weights_of_single_examples_are_healthy():
    assert told(*FOCAL, reduction="none") == []
    assert told(*FOCAL, targets=(1,)) == []
    single = event("loss_call", function="cross_entropy", path="loss#2", reduction="none")
    assert told(*FOCAL, more=[single]) == []


@pytest.mark.parametrize(
    "chains",
    [
        (":nllloss :mul#w :add", "scale :neg :exp :mul#w", "scale :add"),  # learned uncertainty
        (":nllloss :exp :mul#half",),  # perplexity
        (":nllloss :neg :exp :rsub :mul#eps :add", ":nllloss :add"),  # a polynomial of it
        (":msel :neg :exp :rsub :mul#w", ":msel :mul#w"),
    ],
)
def test_other_functions_of_a_mean_are_left_alone(chains):
    assert told(*chains) == []
