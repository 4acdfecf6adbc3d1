import pytest
from rules.builders import findings, run_rule
from rules.updates.parameter_rows import STEPS, optimizer, parameter, trace


def test_a_parameter_with_gradients_that_never_changes_is_an_error():
    [finding] = findings("UPD06", trace(parameter("a.weight"), parameter("b.weight", update=0.0)))
    assert finding.evidence["parameters"] == ["b.weight"]


def test_a_single_change_is_enough():
    once = [*[0.0] * 39, 1e-9]
    assert not findings("UPD06", trace(parameter("b.weight", update=once)))


def test_without_a_gradient_no_change_is_expected():
    rows = [parameter("a.weight"), parameter("b.weight", update=0.0, gradient=0.0)]
    assert not findings("UPD06", trace(*rows))


@pytest.mark.parametrize(("moving", "found"), [(4, 0), (5, 1)])
def test_steps_before_the_rate_leaves_zero_do_not_count(moving, found):
    rates = [0.0] * (STEPS - moving) + [0.1] * moving
    rows = trace(parameter("b.weight", update=0.0), lr=rates)
    assert len([r for r in run_rule("UPD06", rows) if hasattr(r, "message")]) == found


def test_a_rate_of_zero_throughout_is_said():
    [finding] = findings("UPD06", trace(parameter("b.weight", update=0.0), lr=0.0))
    assert "is 0 at every step" in finding.message
    assert "what sets it" in finding.advice


def test_an_embedding_of_which_a_part_is_sampled_is_left_out():
    large = parameter("e.weight", update=0.0, shape=(5000, 64), kind="Embedding")
    assert not findings("UPD06", trace(parameter("a.weight"), large))
    small = parameter("e.weight", update=0.0, kind="Embedding")
    assert findings("UPD06", trace(parameter("a.weight"), small))


@pytest.mark.parametrize(("gradient", "found"), [(0.9e-6, 0), (1.1e-6, 1)])
def test_a_bias_whose_gradient_is_the_rounding_of_what_cancels_is_left_out(gradient, found):
    bias = parameter("a.bias", shape=(1,), size=0.1, update=0.0, gradient=gradient)
    assert len(findings("UPD06", trace(parameter("a.weight", gradient=0.1), bias))) == found


def test_a_layer_that_is_thawed_late_may_have_a_bias_that_cancels():
    none, some = [None] * (STEPS - 9), 9
    weight = parameter("a.weight", gradient=[*none, *[0.1] * some])
    bias = parameter("a.bias", shape=(1,), size=0.1, update=0.0, gradient=[*none, *[9e-7] * some])
    assert findings("UPD06", trace(weight, bias)) == []


@pytest.mark.parametrize(
    ("gradient", "dtype", "found"),
    [
        (1.1e-7, "float32", 0),  # a tenth of the last digit of 1, at a rate of 0.1
        (1.3e-7, "float32", 1),
        (1.1e-7, "float64", 1),
        (1.1e-7, "bfloat16", 1),
    ],
)
def test_a_gradient_too_small_for_the_last_digit_is_no_fault_of_the_step(gradient, dtype, found):
    rows = parameter("b.weight", update=0.0, gradient=gradient)
    rows = [row | {"dtype": dtype} for row in rows]
    moving = parameter("a.weight", update=1e-2, gradient=0.1)
    assert len(findings("UPD06", trace(moving, rows))) == found


@pytest.mark.parametrize(("gradient", "found"), [(1.1e-14, 0), (1.3e-14, 1)])
def test_what_weight_decay_moves_does_not_say_how_far_a_gradient_reaches(gradient, found):
    """An ε of 1e-8 and a rate of 0.1: a gradient of 1.19e-14 is the last digit of 1."""
    decayed = parameter("a.weight", update=1e-2, gradient=gradient)
    rows = parameter("b.weight", update=0.0, gradient=gradient)
    rows = [row | {"dtype": "float32", "optimizer": "Adam"} for row in rows]
    held = trace(decayed, rows, lr=0.1, events=[optimizer(eps=1e-8)])
    assert len(findings("UPD06", held)) == found
    assert findings("UPD06", trace(decayed, rows, lr=0.1, events=[optimizer(eps=None)]))


@pytest.mark.parametrize(("later", "found"), [(1.1e-7, 0), (1.3e-7, 1)])
def test_a_gradient_of_a_step_at_no_rate_does_not_count(later, found):
    """Of the first steps of a warm-up; the others' gradients are too small for the last digit."""
    rates = [0.0] * 2 + [0.1] * (STEPS - 2)
    small = [0.1, 0.1] + [later] * (STEPS - 2)
    rows = [row | {"dtype": "float32"} for row in parameter("b.weight", update=0.0, gradient=small)]
    moving = parameter("a.weight", update=1e-2, gradient=0.1)
    assert len(findings("UPD06", trace(moving, rows, lr=rates))) == found
