"""What the comparison of a gradient with differences says."""

import itertools

from nntrace.adapter.derivatives import Slopes, Wrong, compared


def verdict(*slopes):
    measured = itertools.cycle(slopes)
    return compared((), ["part"], lambda part: lambda: Slopes(*next(measured)))


def test_a_gradient_within_a_thousandth_is_right():
    assert verdict((1.0009, 1.0, 1.0)).wrong == ()


def test_a_gradient_that_is_further_off_along_every_direction_is_wrong():
    (wrong,) = verdict((1.002, 1.0, 1.0), (3.0, 1.0, 1.0)).wrong
    assert wrong == Wrong("part", 1.002, 1.0)
    assert wrong.factor == 1.002


def test_one_right_direction_clears_a_gradient():
    found = verdict((3.0, 1.0, 1.0), (3.0, 1.0, 1.0), (1.0, 1.0, 1.0))
    assert (found.wrong, found.tried) == ((), 3)


def test_a_direction_across_a_kink_decides_nothing():
    assert verdict((3.0, 1.0, 1.1)).tried == 0


def test_what_changes_nothing_is_constant():
    assert verdict((0.0, 0.0, 0.0)).is_constant
    assert not verdict((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)).is_constant
