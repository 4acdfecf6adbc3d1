"""LOS05 and LOS04: predictions that training pushes against a bound."""

import numpy as np
import pytest
from rules.builders import findings
from rules.loss.loss_rows import called

from nntrace.rules import Severity

RISES = [*np.linspace(0.3, 0.95, 15), *[0.99] * 15]
FALLS = [*np.linspace(2.3, 1.6, 15), *[1.5] * 15]
LOGIT_BINARY = "binary_cross_entropy_with_logits"


def cosines(
    *,
    high=0.99,
    low=-0.6,
    once=0.0,
    loss=FALLS,
    classes=10,
    count=30,
    name="cross_entropy",
    head=None,
):
    highs = [min(value, high) for value in RISES]
    highs[20] = max(highs[20], once)
    values = {"output_min": low, "output_max": highs, "loss_value": loss, "classes": classes}
    return called(name, count, width=classes, head=head, **values)


def test_cosines_without_a_scale_are_a_warning_with_the_least_loss_they_allow():
    [finding] = findings("LOS05", cosines())
    assert finding.level is Severity.WARNING
    assert finding.evidence["least_loss"] == pytest.approx(np.log(1 + 9 * np.exp(-2)))
    assert "a probability of 45%" in finding.message
    assert finding.location.line == 7


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        ({"high": 0.975}, 1),
        ({"high": 0.965}, 0),  # they may go on growing
        ({"once": 1.0005}, 1),  # rounding
        ({"once": 1.01}, 0),  # nothing keeps them below 1
        ({"low": 0.0}, 0),  # probabilities
        ({"classes": 2}, 0),
        ({"classes": 3}, 1),
        ({"name": LOGIT_BINARY, "classes": 1}, 1),
        ({"name": "mse_loss"}, 0),
        ({"count": 19}, 0),
        ({"loss": [2.3] * 30}, 0),  # nothing is learned, so that their size means nothing
    ],
)
def test_only_logits_that_stay_at_the_bound_are_found(changed, found):
    assert len(findings("LOS05", cosines(**changed))) == found


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        ({"high": 0.09}, 1),
        ({"high": 0.29}, 1),
        ({"high": 0.31}, 0),  # cosines that are not scaled, early in a training
        ({"high": 0.09, "head": None}, 0),  # free to grow, however small they are
        ({"high": 0.09, "count": 19}, 0),
    ],
)
def test_cosines_that_a_scale_makes_smaller_are_found_though_next_to_nothing_is_learned(
    changed, found
):
    values = {"head": "cosine", "low": -0.08, "loss": [2.25] * 30} | changed
    results = findings("LOS05", cosines(**values))
    assert len(results) == found
    assert all("cosines times a scale" in one.message for one in results)


@pytest.mark.parametrize(
    ("low", "high", "found"),
    [(0.5003, 0.7308, 1), (0.5003, 0.74, 0), (0.49, 0.7308, 0), (0.52, 0.7308, 0), (0.5, 0.7, 0)],
)
def test_probabilities_that_fill_the_range_of_two_sigmoids_passed_both(low, high, found):
    values = {"output_min": [0.55, *[low] * 29], "output_max": [0.6, *[high] * 29]}
    rows = called("binary_cross_entropy", 30, width=1, head="sigmoid", **values)
    assert len(findings("LOS04", rows)) == found
