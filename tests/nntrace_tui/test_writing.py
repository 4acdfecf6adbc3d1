import math

import pytest
from nntrace_tui.literal import literal, shorten_path
from nntrace_tui.numbers import duration, log_ratio, number, percent, rate, short_number


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "–"), (2.302585, "2.303"), (1e-5, "1e-05"), (math.nan, "nan"), (0.0, "0")],
)
def test_a_number_has_four_digits_at_most(value, shown) -> None:
    assert number(value) == shown


@pytest.mark.parametrize(
    "value", [None, 0.0, -1.2345e-38, 9999.4, 123456.0, 1e300, -math.inf, math.nan, 0.00099]
)
def test_a_short_number_fits_its_column(value) -> None:
    assert len(short_number(value)) <= 8


@pytest.mark.parametrize(
    ("value", "shown"),
    [(-3.017, "-3.02"), (-0.0004, "0.00"), (-math.inf, "none"), (math.nan, "–"), (None, "–")],
)
def test_an_update_of_nothing_is_told_from_a_ratio_of_one(value, shown) -> None:
    assert log_ratio(value) == shown


@pytest.mark.parametrize(
    ("fraction", "shown"),
    [
        (0.0, "0 %"),
        (0.0004, "<0.1 %"),
        (0.0186, "1.9 %"),
        (0.758, "76 %"),
        (1.0, "100 %"),
        (None, "–"),
        (math.nan, "–"),
    ],
)
def test_a_share_too_small_to_write_is_not_none(fraction, shown) -> None:
    assert percent(fraction) == shown


def test_durations_have_hours_only_when_needed() -> None:
    assert [duration(s) for s in (0, 59.9, 723, 3723)] == ["0:00", "0:59", "12:03", "1:02:03"]


def test_slow_steps_are_given_in_seconds_a_step() -> None:
    assert [rate(r) for r in (None, 1234.5, 45.12, 0.25)] == [
        "– it/s",
        "1,234 it/s",
        "45.1 it/s",
        "4.0 s/it",
    ]


def test_a_literal_keeps_brackets_and_escapes_control_characters() -> None:
    assert literal("[red]\x1b[2J\n").plain == r"[red]\x1b[2J\n"


def test_a_long_path_keeps_its_end() -> None:
    assert shorten_path("model.layers.11.attention.proj", 16) == ("….attention.proj")


def test_the_root_has_a_name() -> None:
    assert shorten_path("") == "(model)"
