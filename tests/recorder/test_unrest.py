import math

import numpy as np
import pytest

from nntrace.recorder.unrest import LossLevel, SiteLevels

GENERATOR = np.random.default_rng(3)


def spikes(losses):
    level = LossLevel()
    return [step for step, loss in enumerate(losses) if level.leaves(float(loss))]


def test_a_loss_that_falls_with_noise_has_no_spike():
    for seed in range(20):
        noise = np.random.default_rng(seed).standard_normal(3000)
        assert spikes(2 * np.exp(-np.arange(3000) / 500) + 0.1 * noise) == []


def test_a_sudden_high_loss_is_a_spike():
    losses = 1 + 0.05 * GENERATOR.standard_normal(500)
    losses[300] = 4
    assert spikes(losses) == [300]


def test_a_spike_does_not_hide_the_next_one():
    losses = 1 + 0.05 * GENERATOR.standard_normal(500)
    losses[[300, 303]] = 4
    assert spikes(losses) == [300, 303]


def test_a_drop_of_the_loss_is_none():
    assert spikes(np.r_[np.full(100, 3.0), np.full(100, 0.1)]) == []


def test_a_constant_loss_with_rounding_noise_is_quiet():
    assert spikes(1 + 1e-6 * GENERATOR.standard_normal(400)) == []


def test_a_nonfinite_loss_leaves_the_level_as_it_was():
    losses = 1 + 0.05 * GENERATOR.standard_normal(200)
    losses[100:110] = np.nan
    assert spikes(losses) == []


@pytest.mark.parametrize(
    ("factor", "leaves"), [(9, False), (11, True), (1 / 9, False), (1 / 11, True)]
)
def test_a_site_leaves_its_band_at_ten_times_or_a_tenth_of_its_scale(factor, leaves):
    levels = SiteLevels()
    for _ in range(20):
        assert not len(levels.leave([4, 7], np.array([0.5, 2.0])))
    assert levels.leave([4, 7], np.array([0.5, 2.0 * factor])).tolist() == ([7] if leaves else [])


def test_a_slow_drift_stays_within_the_band():
    levels = SiteLevels()
    assert not any(len(levels.leave([0], np.array([1.05**step]))) for step in range(300))


def test_a_site_that_left_is_quiet_at_its_new_level():
    levels = SiteLevels()
    for _ in range(20):
        levels.leave([0], np.array([1.0]))
    assert len(levels.leave([0], np.array([100.0])))
    assert not any(len(levels.leave([0], np.array([100.0]))) for _ in range(30))


@pytest.mark.parametrize("std", [0.0, np.nan, np.inf])
def test_a_site_without_a_scale_is_left_out(std):
    levels = SiteLevels()
    for _ in range(20):
        levels.leave([0], np.array([1.0]))
    assert not len(levels.leave([0], np.array([std])))


def test_losses_that_are_taken_in_together_are_followed_as_one_by_one():
    alone, together = LossLevel(), LossLevel()
    losses = [math.cos(n) + 1e-3 * n for n in range(60)]
    assert not any(alone.leaves(loss) for loss in losses)
    together.follow(losses)
    assert together.highest == alone.highest
    assert not together.leaves(together.highest)
    assert alone.leaves(alone.highest + 0.01)


def test_before_a_level_is_known_no_loss_is_too_high():
    level = LossLevel()
    level.follow([1.0] * 15)
    assert level.highest == math.inf
