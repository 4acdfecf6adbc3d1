import math

import pytest
from rules.builders import trace_of

from nntrace.rules.common.loss_course import loss_series, steps_at_full_rate


def test_nan_losses_are_told_from_losses_that_were_not_recorded():
    assert loss_series(trace_of(loss=[1.0, None, 2.0])).nonfinite_from is None
    assert loss_series(trace_of(loss=[1.0, math.nan, 2.0])).nonfinite_from == 1


def test_warm_up_ends_at_half_of_the_highest_learning_rate():
    assert steps_at_full_rate(trace_of(lr=[0.1, 0.4, 0.5, 1.0, 0.1])) == 3
    assert steps_at_full_rate(trace_of(lr=None, steps=4)) == 4


def test_the_second_half_is_that_of_the_steps_not_of_the_losses_that_are_known():
    half = loss_series(trace_of(loss=[5.0, 4.0, 3.0, None, 1.0])).second_half
    assert (half.value.tolist(), half.span) == ([3.0, 1.0], (2, 4))
    dense_at_first = loss_series(trace_of(loss=[9.0, 8.0, 7.0, 6.0, *[None] * 6, 1.0]))
    assert dense_at_first.second_half.value.tolist() == [1.0]


def test_the_level_at_the_end_is_that_of_the_last_fifth():
    series = loss_series(trace_of(loss=[8.0] * 8 + [2.0, 1.0]))
    assert (series.start, series.end) == (8.0, 1.5)


@pytest.mark.parametrize(("part", "level"), [(1.0, 1.0), (0.25, 0.25), (None, 1.0)])
def test_steps_that_add_up_more_and_more_micro_batches_are_compared_by_one_of_them(part, level):
    """As a warm-up of the accumulation does; `part` is what each adds, None the mean of all."""
    passes = [1] * 10 + [2] * 10 + [4] * 20
    noise = [1.0, 1.2, 0.9, 1.1] * 10
    sums = [n * (1.0 if part is None else part * k) for n, k in zip(noise, passes, strict=True)]
    series = loss_series(trace_of(loss=sums, backwards=passes))
    assert series.end == pytest.approx(level, rel=0.1)
    assert series.start == pytest.approx(series.end, rel=0.15)


def test_one_number_of_micro_batches_leaves_their_sum():
    assert loss_series(trace_of(loss=[4.0, 3.0], backwards=2)).value.tolist() == [4.0, 3.0]
