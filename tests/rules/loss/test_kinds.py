import pytest
from rules.builders import event, findings, run_rule, site, trace_of
from rules.loss.loss_rows import called

from nntrace.rules import Severity

ONE_HOT = {"target_min": 0.0, "target_max": 1.0, "target_mean": 0.1, "target_std": 0.3}


@pytest.mark.parametrize(
    ("function", "head", "targets", "found"),
    [
        ("mse_loss", "softmax", ONE_HOT, 1),
        ("mse_loss", "softmax", ONE_HOT | {"target_std": 0.2}, 0),
        ("mse_loss", "softmax", ONE_HOT | {"target_mean": 0.5, "target_std": 0.5}, 0),
        ("mse_loss", "sigmoid", ONE_HOT, 0),
        ("binary_cross_entropy", "softmax", {}, 1),
        ("binary_cross_entropy", "sigmoid", {}, 0),
        ("cross_entropy", "sigmoid", {}, 1),
        ("cross_entropy", "affine", {}, 0),
    ],
)
def test_a_loss_for_another_kind_of_head_is_a_warning(function, head, targets, found):
    trace = called(function, head=head, width=10, **targets)
    assert len(findings("LOS06", trace)) == found


def test_a_head_that_is_not_known_disagrees_with_nothing():
    trace = called("mse_loss", width=10, **ONE_HOT)
    assert [type(r).__name__ for r in run_rule("LOS06", trace)] == ["Skipped"]


def test_arguments_in_the_wrong_order_are_an_error():
    call = event("loss_call", function="categorical_crossentropy", exchanged=True)
    [finding] = findings("LOS06", trace_of(steps=20, events=[call]))
    assert finding.level is Severity.ERROR
    assert "y_true, y_pred" in finding.advice


@pytest.mark.parametrize(
    ("function", "mean", "width", "found"),
    [
        ("categorical_crossentropy", 0.5, 5, 1),
        ("categorical_crossentropy", 0.25, 5, 1),
        ("categorical_crossentropy", 0.23, 5, 0),
        ("categorical_crossentropy", 0.2, 5, 0),
        ("cross_entropy", 0.5, 5, 1),
        ("binary_cross_entropy", 0.5, 5, 0),
        ("cross_entropy", 0.5, None, 0),  # class numbers
    ],
)
def test_exclusive_classes_of_which_an_example_has_several_are_an_error(
    function, mean, width, found
):
    shape = [32] if width is None else [32, width]
    target = site(function, "target", shape=shape)
    ones = {"target_mean": mean, "target_std": (mean * (1 - mean)) ** 0.5}
    ones |= {"target_min": 0.0, "target_max": 1.0, "classes": 5}
    results = findings("LOS06", called(function, head="affine", sites=[target], **ones))
    assert len(results) == found
    assert all("binary_cross_entropy_with_logits" in finding.advice for finding in results)


def test_counts_that_are_reconstructed_have_the_form_of_the_input():
    sites = [
        site("input.0", "input", shape=[32, 5]),
        site("cross_entropy", "target", shape=[32, 5]),
    ]
    ones = {"target_mean": 0.5, "target_std": 0.5, "target_min": 0.0, "target_max": 1.0}
    trace = called("cross_entropy", head="affine", sites=sites, classes=5, **ones)
    assert findings("LOS06", trace) == []


def test_targets_between_zero_and_one_are_shares_of_classes():
    target = site("cross_entropy", "target", shape=[32, 5])
    shares = {"target_mean": 0.5, "target_std": 0.1, "target_min": 0.0, "target_max": 1.0}
    trace = called("cross_entropy", head="affine", sites=[target], classes=5, **shares)
    assert findings("LOS06", trace) == []


@pytest.mark.parametrize("function", ["margin_ranking_loss", "hinge_embedding_loss"])
def test_zeros_for_a_loss_function_that_wants_signs_are_an_error(function):
    signs = event("signs", 3, function=function, zeros=0.5, file="train.py", line=7)
    [finding] = findings("LOS06", trace_of(steps=20, events=[signs]))
    assert finding.level is Severity.ERROR
    assert ("as both kinds" in finding.message) == (function == "hinge_embedding_loss")
    assert finding.location.line == 7
