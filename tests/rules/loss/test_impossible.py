import numpy as np
import pytest
from rules.builders import batch, batches, event, findings, skip_reasons, trace_of

from nntrace.rules import Severity


@pytest.mark.parametrize(("value", "found"), [(-0.00009, 0), (-0.0002, 1), (0.3, 0)])
def test_a_negative_value_of_a_loss_that_has_none_is_an_error(value, found):
    rows = batches(4, loss_function="cross_entropy", loss_value=value)
    assert len(findings("LOS21", trace_of(steps=4, batches=rows))) == found


@pytest.mark.parametrize(("negative", "found"), [(1, 0), (2, 1)])
def test_two_samples_must_be_negative(negative, found):
    values = [-1.0] * negative + [1.0] * (5 - negative)
    rows = batches(5, loss_function="kl_div", loss_value=values)
    assert len(findings("LOS21", trace_of(steps=5, batches=rows))) == found


def test_targets_that_are_no_probabilities_are_named_as_the_cause():
    targets = {"target_min": -1.0, "target_max": 1.0}
    rows = batches(4, loss_function="binary_cross_entropy", loss_value=-2.0, **targets)
    [finding] = findings("LOS21", trace_of(steps=4, batches=rows))
    assert "targets reach from -1 to 1" in finding.message


@pytest.mark.parametrize(
    ("terms", "weights", "found"),
    [
        (["nll_loss"], [-1.0], 1),
        (["nll_loss"], [1.0], 0),
        (["nll_loss", "kl_div"], [1.0, -0.1], 0),
        (["other"], [-1.0], 0),
    ],
)
def test_a_loss_that_is_minimised_with_a_minus_sign_is_a_warning(terms, weights, found):
    rows = batches(4, loss_function="nll_loss", loss_value=2.0)
    objective = event("objective", terms=terms, weights=weights)
    results = findings("LOS21", trace_of(loss=[-2.0] * 4, batches=rows, events=[objective]))
    assert [finding.level for finding in results] == [Severity.WARNING] * found


@pytest.mark.parametrize(
    ("end", "weight", "power", "steps", "found"),
    [
        (-62.0, 1.0, 2, 100, 1),
        (-58.0, 1.0, 2, 100, 0),
        (-62.0, -1.0, 2, 100, 0),  # the loss that cannot be negative is climbed
        (-62.0, 1.0, 0.5, 100, 0),  # it comes to an end
        (-1.9e4, 1.0, 0.5, 100, 0),
        (-2.1e4, 1.0, 0.5, 100, 1),
        (-62.0, 1.0, 2, 49, 0),
    ],
)
def test_a_sum_that_falls_to_minus_infinity_has_a_term_that_does(end, weight, power, steps, found):
    loss = 2.0 + (end - 2.0) * np.linspace(0.0, 1.05, steps) ** power
    loss[:10], loss[-10:] = 2.0, end
    terms = event("objective", terms=["mse_loss", "other"], weights=[weight, 1.0], line=9)
    own = batches(3, loss_function="mse_loss", loss_value=1.0)
    results = findings("LOS21", trace_of(loss=loss.tolist(), batches=own, events=[terms]))
    assert ["goes to minus infinity" in one.message for one in results] == [True] * found


@pytest.mark.parametrize("terms", [["mse_loss"], ["other"], ["other", "other#2"]])
def test_a_loss_without_a_bound_may_fall_below_zero(terms):
    loss = [2.0] * 10 + [-1000.0 * n for n in range(90)]
    objective = event("objective", terms=terms, weights=[1.0] * len(terms))
    own = batches(3, loss_function="mse_loss", loss_value=1.0)
    rows = trace_of(loss=loss, batches=own, events=[objective])
    assert all("minus infinity" not in one.message for one in findings("LOS21", rows))


def test_steps_that_were_not_sampled_count_where_the_loss_is_the_functions_alone():
    loss = [1.0, 0.5, 0.2, -0.5, -1.0, -2.0]
    rows = [
        batch(step, loss_function="binary_cross_entropy", loss_value=loss[step]) for step in (0, 1)
    ]
    [finding] = findings("LOS21", trace_of(loss=loss, batches=rows))
    assert (finding.steps, finding.evidence["lowest"]) == ((3, 5), -2.0)


def test_the_loss_of_an_actor_is_not_that_of_its_critic():
    rows = [batch(step, loss_function="mse_loss", loss_value=0.5) for step in (0, 2)]
    names = ["Adam", "Adam.2"] * 4
    trace = trace_of(loss=[0.5, -1.0] * 4, optimizer=names, batches=rows)
    assert findings("LOS21", trace) == []


def test_a_density_may_be_negative():
    rows = batches(4, loss_function="poisson_nll_loss", loss_value=-2.0)
    assert skip_reasons("LOS21", trace_of(steps=4, batches=rows))


def test_a_loss_by_hand_that_moves_away_from_its_targets_is_a_warning_at_its_line():
    away = event("direction", 3, looks=4, file="train.py", line=7)
    [finding] = findings("LOS21", trace_of(steps=20, events=[away]))
    assert finding.level is Severity.WARNING
    assert "1 - score" in finding.advice
    assert finding.location.line == 7


@pytest.mark.parametrize(
    ("targets", "call", "found"),
    [
        ((-1.0, 1.0), {}, 1),
        ((0.0, 255.0), {}, 1),
        ((-0.3, 1.2), {}, 0),  # noise on labels
        ((-1.0, 1.0), {"reduction": "none"}, 0),
        ((-1.0, 1.0), {"weighted": True}, 0),
    ],
)
def test_labels_that_are_no_probabilities_are_told_before_the_loss_is_negative(
    targets, call, found
):
    low, high = targets
    name = "binary_cross_entropy_with_logits"
    rows = batches(4, loss_function=name, loss_value=0.6, target_min=low, target_max=high)
    trace = trace_of(steps=4, batches=rows, events=[event("loss_call", function=name, **call)])
    assert len(findings("LOS21", trace)) == found


@pytest.mark.parametrize(
    ("function", "head", "width", "found"),
    [
        ("kl_div", "softmax", 4, 1),
        ("kl_div", "log_softmax", 4, 0),
        ("kl_div", None, 4, 0),
        ("kl_div", "softmax", 1, 0),
        ("mse_loss", "softmax", 4, 0),
    ],
)
def test_a_divergence_of_what_comes_out_of_a_softmax_is_none(function, head, width, found):
    call = event("loss_call", function=function, head=head, head_width=width)
    rows = batches(4, loss_function=function, loss_value=0.3)
    results = findings("LOS21", trace_of(steps=4, batches=rows, events=[call]))
    assert ["log_softmax" in finding.advice for finding in results] == [True] * found


def test_keras_divergence_takes_probabilities():
    names = {"function": "kl_div", "keras_function": "kl_divergence"}
    call = event("loss_call", head="softmax", head_width=4, from_logits=False, **names)
    rows = batches(4, loss_function="kl_div", loss_value=0.3)
    assert findings("LOS21", trace_of(steps=4, batches=rows, events=[call])) == []
