import pytest
from rules.builders import batches, event, findings, site, skip_reasons, trace_of
from rules.loss.loss_rows import called

from nntrace.manifest import Manifest
from nntrace.rules import Severity
from nntrace.trace import Trace

PROBABILITIES = {"row_sum_min": 1.0, "row_sum_max": 1.0, "output_min": 0.1, "output_max": 0.9}


@pytest.mark.parametrize(
    ("code", "function", "head", "given"),
    [
        ("LOS02", "cross_entropy", None, {"classes": 3, **PROBABILITIES}),
        ("LOS03", "nll_loss", None, {"classes": 3, "row_lse_min": 2.0, "row_lse_max": 2.0}),
        ("LOS04", "binary_cross_entropy", None, {"output_min": -3.0, "output_max": 3.0}),
        ("LOS05", "mse_loss", "tanh", {}),
        ("LOS06", "binary_cross_entropy", "softmax", {}),
    ],
)
def test_every_head_of_a_model_is_judged(code, function, head, given):
    path = f"{function}:second"
    first = {"function": function, "path": f"{function}:first", "head": "affine"}
    second = {"function": function, "path": path, "head": head, "head_width": 3}
    right = {"row_lse_min": 0.0, "row_lse_max": 0.0, "row_sum_min": 3.0, "row_sum_max": 3.0}
    right |= {"output_min": 0.2, "output_max": 0.8, "classes": 3}
    trace = trace_of(
        steps=12,
        batches=batches(12, loss_function=function, loss_path=first["path"], **right),
        losses=batches(12, loss_function=function, loss_path=path, **given),
        events=[event("loss_call", **first), event("loss_call", line=7, file="a.py", **second)],
        sites=[site(path, "output"), site(path, "target", q01=-9.0, q99=9.0)],
    )
    [finding] = findings(code, trace)
    assert finding.site.path == path
    assert finding.location.line == 7


# LOS04

LOGITS = "binary_cross_entropy_with_logits"


@pytest.mark.parametrize(
    ("head", "low", "high", "found"),
    [
        ("sigmoid", 0.1, 0.9, 1),
        ("affine", 0.1, 0.9, 0),
        ("affine", -4.0, 3.0, 0),
        (None, 0.0, 1.0, 1),
        (None, -0.01, 1.0, 0),
        (None, 0.0, 1.01, 0),
    ],
)
def test_probabilities_given_to_a_loss_on_logits_are_an_error(head, low, high, found):
    trace = called(LOGITS, head=head, output_min=low, output_max=high)
    results = findings("LOS04", trace)
    assert len(results) == found
    assert all((f.level is Severity.ERROR) == (head is not None) for f in results)


@pytest.mark.parametrize(("count", "found"), [(9, 0), (10, 1)])
def test_values_alone_need_ten_batches(count, found):
    trace = called(LOGITS, count=count, output_min=0.0, output_max=1.0)
    assert len(findings("LOS04", trace)) == found


@pytest.mark.parametrize(("low", "found"), [(-0.0005, 0), (-0.1, 1)])
def test_logits_given_to_a_loss_on_probabilities_are_an_error(low, found):
    trace = called("binary_cross_entropy", output_min=low, output_max=0.9)
    assert len(findings("LOS04", trace)) == found


def test_keras_takes_the_logits_behind_a_sigmoid_itself():
    paired = {"hidden_logits": True}
    trace = called(LOGITS, head="sigmoid", output_min=0.1, output_max=0.9, call=paired)
    assert skip_reasons("LOS04", trace)


def test_keras_finds_the_logits_behind_a_sigmoid_of_which_it_is_told_that_it_is_none():
    call = {"hidden_logits": True, "from_logits": True}
    trace = called("binary_cross_entropy", head="sigmoid", output_min=0.1, call=call)
    [finding] = findings("LOS04", trace)
    assert (finding.level, finding.harms_run) == (Severity.WARNING, False)


def test_a_run_that_ended_in_pytorchs_own_check_is_explained():
    rows = [{"step": 0, "loss": 0.7}, {"step": 1, "loss": 0.6}]
    call = event("loss_call", function="binary_cross_entropy", head="affine")
    error = "RuntimeError: all elements of input should be between 0 and 1"
    trace = Trace.from_rows(
        steps=rows, events=[call], manifest=Manifest(name="run", status="failed", error=error)
    )
    assert len(findings("LOS04", trace)) == 1


@pytest.mark.parametrize(("high", "found"), [(1.0, 1), (40.0, 0)])
def test_targets_that_are_no_labels_need_another_loss_not_another_head(high, found):
    seen = {"output_min": -3.0, "output_max": 3.0, "target_min": 0.0, "target_max": high}
    rows = batches(12, loss_function="binary_cross_entropy", **seen)
    told = event("loss_call", function="binary_cross_entropy", path="binary_cross_entropy")
    assert len(findings("LOS04", trace_of(steps=12, batches=rows, events=[told]))) == found


# LOS05


def regression(head, low, high):
    target = site("mse_loss", "target", q01=low, q99=high)
    return called("mse_loss", head=head, sites=[target], target_min=low, target_max=high)


@pytest.mark.parametrize(
    ("head", "low", "high", "found"),
    [
        ("sigmoid", -0.04, 1.04, 0),
        ("sigmoid", 0.0, 1.06, 1),
        ("tanh", -1.09, 1.0, 0),
        ("tanh", -1.11, 1.0, 1),
        ("relu", -0.04, 1.0, 0),
        ("relu", -0.1, 1.0, 1),
        ("relu", 0.0, 1e6, 0),
        ("affine", -9.0, 9.0, 0),
    ],
)
def test_targets_beyond_the_heads_range_are_an_error(head, low, high, found):
    assert len(findings("LOS05", regression(head, low, high))) == found


def test_what_another_network_learns_to_make_is_no_target_to_reach():
    target = site("mse_loss", "target", q01=-1.0, q99=1.0)
    learned = {"learned_target": True}
    trace = called("mse_loss", head="relu", sites=[target], call=learned)
    assert findings("LOS05", trace) == []


@pytest.mark.parametrize(("width", "found"), [(1, 1), (2, 0)])
def test_a_softmax_over_one_unit_is_an_error(width, found):
    assert len(findings("LOS05", called("kl_div", head="softmax", width=width))) == found


@pytest.mark.parametrize(("classes", "found"), [(1, 1), (2, 0)])
def test_cross_entropy_over_one_class_is_an_error(classes, found):
    trace = called("cross_entropy", head="affine", call={"shape": [32, classes]})
    assert len(findings("LOS05", trace)) == found


@pytest.mark.parametrize(("width", "found"), [(1, 1), (2, 0)])
def test_a_categorical_loss_of_keras_on_one_sigmoid_is_an_error(width, found):
    name = "categorical_crossentropy"
    trace = called(name, head="sigmoid", width=width, call={"keras_function": name})
    assert len(findings("LOS05", trace)) == found


@pytest.mark.parametrize(("head", "found"), [("relu", 1), ("softplus", 0), ("affine", 0)])
def test_logits_of_classes_that_a_relu_cuts_off_are_a_warning(head, found):
    results = findings("LOS05", called("cross_entropy", head=head, width=10))
    assert [finding.level for finding in results] == [Severity.WARNING] * found


@pytest.mark.parametrize(("head", "found"), [("relu", 1), ("softplus", 1), ("affine", 0)])
def test_logits_that_are_never_negative_are_an_error(head, found):
    assert len(findings("LOS05", called(LOGITS, head=head))) == found


def test_a_head_that_is_not_known_is_not_judged():
    trace = trace_of(steps=3, batches=batches(3, loss_function="mse_loss"))
    assert skip_reasons("LOS05", trace)


@pytest.mark.parametrize(("beyond", "count"), [(0.021, 1), (0.02, 0)])
def test_real_examples_beyond_the_range_of_their_generator_are_a_warning(beyond, count):
    seen = {"model": "D", "head": "tanh", "beyond": beyond, "least": -0.9, "most": 3.1}
    function = "binary_cross_entropy_with_logits"
    call = event("loss_call", 0, function=function, path=function, head="affine", shape=[8, 1])
    results = findings("LOS05", trace_of(steps=20, events=[call, event("generated", 9, **seen)]))
    assert len(results) == count
    assert all(finding.level is Severity.WARNING for finding in results)
    assert all("[-1, 1]" in finding.message for finding in results)
