import pytest
from rules.builders import event, findings, trace_of

from nntrace.rules import Severity

RIGHT = {
    "frames": 30,
    "examples": 16,
    "classes": 9,
    "blank": 0,
    "blanks": 0.0,
    "blanks_fill_up": False,
    "too_short": 0.0,
    "as_many_as_labels": False,
    "infinity_is_zero": True,
    "log_sum": 0.0,
    "probabilities": False,
    "file": "train.py",
    "line": 7,
}


def told(code, *calls):
    events = [event("alignment", n, **{**RIGHT, **call}) for n, call in enumerate(calls)]
    return findings(code, trace_of(steps=20, events=events))


def test_a_call_that_is_right_is_left_alone():
    assert told("LOS05", {}, {}) == told("LOS03", {}, {}) == []


def test_the_blank_among_the_labels_is_an_error_at_the_line_of_the_call():
    [finding] = told("LOS05", {"blanks": 0.12}, {"blanks": 0.1})
    assert finding.level is Severity.ERROR
    assert "11% of the labels are 0" in finding.message
    assert "begin at 1" in finding.advice
    assert finding.location.line == 7


def test_padding_that_counts_as_labels_is_told_as_such():
    [finding] = told("LOS05", {"blanks": 0.3, "blanks_fill_up": True})
    assert "padding that counts as labels" in finding.message
    assert "target_lengths" in finding.advice


@pytest.mark.parametrize(("calls", "found"), [(1, 0), (2, 1)])
def test_half_of_the_calls_must_have_the_fault(calls, found):
    wrong = [{"as_many_as_labels": True}] * calls
    assert len(told("LOS05", *wrong, *[{}] * (4 - calls))) == found


def test_one_example_with_as_many_frames_as_labels_is_chance():
    assert told("LOS05", {"as_many_as_labels": True, "examples": 1}) == []


@pytest.mark.parametrize(("share", "found"), [(0.1, 0), (0.11, 1)])
def test_more_than_a_tenth_of_the_examples_are_too_short_for_their_labels(share, found):
    assert len(told("LOS05", {"too_short": share})) == found


def test_losses_that_are_set_to_zero_are_named():
    [hidden], [shown] = (
        told("LOS05", {"too_short": 0.5, "infinity_is_zero": zero}) for zero in (True, False)
    )
    assert "zero_infinity" in hidden.message
    assert "zero_infinity" not in shown.message


@pytest.mark.parametrize(("log_sum", "found"), [(0.05, 0), (0.06, 1)])
def test_rows_that_are_no_log_probabilities_are_an_error(log_sum, found):
    assert len(told("LOS03", {"log_sum": log_sum}, {"log_sum": log_sum})) == found


@pytest.mark.parametrize(("right", "found"), [(1, 1), (2, 0)])
def test_nine_of_ten_calls_must_be_given_rows_that_are_no_log_probabilities(right, found):
    calls = [{"log_sum": 1.0}] * (12 - right) + [{}] * right
    assert len(told("LOS03", *calls)) == found


def test_probabilities_in_place_of_their_logarithms_are_told_as_such():
    [finding] = told("LOS03", *[{"log_sum": 2.2, "probabilities": True}] * 2)
    assert "receives probabilities" in finding.message
    assert "in place of the softmax" in finding.advice
