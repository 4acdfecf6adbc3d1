import math

import numpy as np
import pytest
from rules.builders import batch, trace_of

from nntrace.rules.common.chance import (
    chance_losses,
    entropy,
    expected_entropy,
    function_loss,
    label_totals,
    target_variance,
    training_batches,
)
from nntrace.rules.common.loss_course import loss_series, steps_at_full_rate
from nntrace.rules.common.signals import (
    lasting,
    least_around,
    median,
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


def test_nan_losses_are_told_from_losses_that_were_not_recorded():
    assert loss_series(trace_of(loss=[1.0, None, 2.0])).nonfinite_from is None
    assert loss_series(trace_of(loss=[1.0, math.nan, 2.0])).nonfinite_from == 1


def test_warm_up_ends_at_half_of_the_highest_learning_rate():
    assert steps_at_full_rate(trace_of(lr=[0.1, 0.4, 0.5, 1.0, 0.1])) == 3
    assert steps_at_full_rate(trace_of(lr=None, steps=4)) == 4


@pytest.mark.parametrize("size", [1, 2, 7, 40, 3000])
def test_the_expected_entropy_of_a_draw_is_that_of_simulated_draws(size):
    counts = [500, 300, 150, 50]
    rng = np.random.default_rng(0)
    draws = rng.multinomial(size, np.array(counts) / 1000, size=4000)
    simulated = np.mean([entropy(draw) for draw in draws])
    assert expected_entropy(counts, size) == pytest.approx(simulated, abs=0.01)


def test_the_variance_of_the_targets_includes_that_between_batches():
    rows = [batch(0, target_mean=1.0, target_std=2.0), batch(1, target_mean=-1.0, target_std=2.0)]
    mean, variance = target_variance(training_batches(trace_of(batches=rows)))
    assert (mean, variance) == (0.0, 5.0)


def test_labels_of_evaluation_batches_are_not_counted():
    rows = [
        batch(0, label_values=[0, 1], label_counts=[3, 4]),
        batch(0, phase="eval", label_values=[0], label_counts=[99]),
    ]
    assert label_totals(training_batches(trace_of(batches=rows))) == {0: 3, 1: 4}


def test_the_label_entropy_is_not_a_chance_value_while_few_labels_were_seen():
    rows = [batch(0, loss_function="nll_loss", classes=2, label_values=[0, 1], label_counts=[9, 1])]
    trace = trace_of(batches=rows)
    names = [chance.name for chance in chance_losses("nll_loss", training_batches(trace))]
    assert names == ["ln 2"]


def test_the_loss_of_every_step_is_used_where_it_is_the_loss_functions():
    rows = [batch(step, loss_value=2.0) for step in (0, 5)]
    same = trace_of(loss=[2.0] * 10, batches=rows)
    scaled = trace_of(loss=[4.0] * 10, batches=rows)
    assert len(function_loss(same, training_batches(same))) == 10
    assert len(function_loss(scaled, training_batches(scaled))) == 2
