import pytest
from rules.builders import event, findings, run_rule, trace_of

from nntrace.rules import Skipped

HEALTHY = {
    f"{axis}_{name}": value
    for axis in ("height", "width")
    for name, value in {"alike": 0.9, "even": 0.5, "odd": 0.49, "share": 0.9}.items()
}


def told(*looks, count=8, path="cross_entropy"):
    changes = looks * (count // max(1, len(looks)))
    events = [
        event("flips", step, path=path, **{**HEALTHY, **change})
        for step, change in enumerate(changes)
    ]
    call = event("loss_call", 0, function="cross_entropy", path=path, file="train.py", line=30)
    return trace_of(steps=20, events=[call, *events])


def test_masks_that_are_followed_in_both_parts_are_healthy():
    assert findings("DAT21", told({})) == []


@pytest.mark.parametrize(
    ("axis", "sides"), [("width", "left and right"), ("height", "top and bottom")]
)
def test_predictions_of_the_even_part_alone_are_told_at_the_loss(axis, sides):
    [finding] = findings("DAT21", told({f"{axis}_odd": 0.02}))
    assert f"do not tell {sides} apart" in finding.message
    assert finding.location.line == 30
    assert finding.steps == (0, 7)


def test_draws_that_scatter_from_batch_to_batch_are_averaged():
    assert findings("DAT21", told({"width_odd": 0.3}, {"width_odd": -0.25}))
    assert findings("DAT21", told({"width_odd": 0.45}, {"width_odd": 0.2})) == []


@pytest.mark.parametrize(
    "change", [{"width_alike": 0.34}, {"width_share": 0.19}, {"width_even": -0.5}]
)
def test_masks_not_learned_yet_or_equal_in_both_halves_say_nothing(change):
    assert findings("DAT21", told({"width_odd": 0.0, **change})) == []


@pytest.mark.parametrize("change", [{"width_alike": 0.36}, {"width_share": 0.21}])
def test_masks_that_are_learned_by_a_third_or_odd_by_a_fifth_are_judged(change):
    assert findings("DAT21", told({"width_odd": 0.0, **change}))


def test_few_looks_are_not_judged():
    [skipped] = run_rule("DAT21", told({"width_odd": 0.0}, count=7))
    assert isinstance(skipped, Skipped)
    assert skipped.too_few


def test_without_masks_the_rule_says_so():
    [skipped] = run_rule("DAT21", trace_of(steps=20))
    assert "each pixel" in skipped.reason
