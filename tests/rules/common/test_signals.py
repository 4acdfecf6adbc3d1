import math

import numpy as np
import pytest

from nntrace.rules.common.signals import (
    column_medians,
    lasting,
    least_around,
    median,
    median_error,
    median_of_means,
    medians_around,
    noise_scale,
    trend_z,
    window_medians,
)

EMPTY = np.array([])


def test_the_noise_is_measured_around_a_trend_and_in_spite_of_spikes():
    values = np.linspace(0.0, 10.0, 2000) + 0.3 * np.random.default_rng(0).standard_normal(2000)
    values[::100] += 50.0
    assert noise_scale(values) == pytest.approx(0.3, rel=0.1)


def test_helpers_have_a_value_for_empty_and_constant_series():
    assert noise_scale(EMPTY) == 0.0
    assert trend_z(EMPTY) == trend_z(np.ones(50)) == 0.0
    assert len(window_medians(EMPTY, 5)) == 0
    assert math.isnan(median(EMPTY))
    assert math.isnan(median([math.nan, math.inf]))
    assert math.isnan(median_of_means(EMPTY))
    assert lasting(np.array([], dtype=bool), 1) is None


@pytest.mark.parametrize("length", [50, 5000])
def test_the_trend_statistic_is_standard_normal_without_a_trend(length):
    rng = np.random.default_rng(0)
    scores = [trend_z(rng.standard_normal(length)) for _ in range(200)]
    assert np.std(scores) == pytest.approx(1.0, abs=0.15)


def test_the_error_of_a_difference_of_medians_is_that_of_drawn_ones():
    rng = np.random.default_rng(0)
    drawn = [
        np.median(rng.normal(0.0, 2.0, 51)) - np.median(rng.normal(0.0, 2.0, 201))
        for _ in range(2000)
    ]
    assert median_error(2.0, 51, 201) == pytest.approx(np.std(drawn), rel=0.05)


def test_a_falling_series_has_a_negative_trend():
    assert trend_z(-np.arange(30.0)) < -7.0


@pytest.mark.parametrize(
    ("holds", "minimum", "start"),
    [([0, 1, 1], 2, 1), ([0, 1, 1], 3, None), ([1, 1, 0], 1, None), ([1, 1], 2, 0)],
)
def test_what_lasts_holds_until_the_end(holds, minimum, start):
    assert lasting(np.array(holds, dtype=bool), minimum) == start


@pytest.mark.parametrize(("length", "before", "after"), [(1, 2, 2), (7, 5, 5), (300, 25, 0)])
def test_neighbours_medians_are_those_of_each_window_and_not_below_the_bound(length, before, after):
    values = np.random.default_rng(length).lognormal(size=length)
    places = np.arange(0, length, 3)
    found = medians_around(values, places, before, after)
    for place in range(length):
        near = [*values[max(0, place - before) : place], *values[place + 1 : place + 1 + after]]
        wanted = np.median(near) if near and place in places else np.nan
        assert np.isclose(found[place], wanted, rtol=0, equal_nan=True)
    bound = least_around(values, max(before, after))
    assert not (found < bound).any()


def test_the_median_of_means_estimates_the_mean_of_a_skewed_series_with_spikes():
    values = np.random.default_rng(0).exponential(1.0, 5000)
    values[7] = 1e6
    assert median_of_means(values) == pytest.approx(1.0, abs=0.05)


def test_the_median_of_a_column_leaves_out_what_is_not_known():
    values = np.array([[1.0, np.nan], [3.0, np.nan], [np.nan, np.nan]])
    np.testing.assert_array_equal(column_medians(values), [2.0, np.nan])
