"""The even and the odd part of masks, from sums of products alone."""

import numpy as np
import pytest

from nntrace.adapter.flips import flip_facts, is_readable, places_read

RANDOM = np.random.default_rng(5)
MASKS = (RANDOM.random((8, 6, 10)) < 0.3).astype(float)


def facts(predicted, wanted):
    predicted, wanted = predicted - predicted.mean(0), wanted - wanted.mean(0)
    pairs = [(predicted, wanted), (predicted, predicted), (wanted, wanted)]
    products = [[np.vdot(np.flip(one, axes), other) for one, other in pairs] for axes in ((), 1, 2)]
    return flip_facts(*products)


def test_masks_that_are_reached_have_slopes_of_one():
    found = facts(MASKS, MASKS)
    for axis in ("height", "width"):
        assert [found[f"{axis}_{name}"] for name in ("alike", "even", "odd")] == [1, 1, 1]


def test_predictions_of_both_places_follow_nothing_odd_under_that_mirror():
    found = facts((MASKS + MASKS[:, :, ::-1]) / 2, MASKS)
    assert (found["width_even"], found["width_odd"]) == (1.0, 0.0)
    assert found["width_alike"] == 1.0
    assert found["height_odd"] == pytest.approx(found["height_even"], rel=0.5)


def test_the_share_is_that_of_the_odd_part():
    wanted = MASKS - MASKS.mean(0)
    odd = (wanted - wanted[:, ::-1]) / 2
    share = facts(MASKS, MASKS)["height_share"]
    assert share == pytest.approx((odd**2).sum() / (wanted**2).sum(), abs=1e-3)


def test_a_part_that_masks_do_not_have_has_no_slope():
    left, right = np.zeros((2, 4, 6)), np.zeros((2, 4, 6))
    left[0, 1:3, 1], right[1, 1:3, 4] = 1.0, 1.0
    found = facts(left + right, left + right)
    assert (found["width_alike"], found["width_even"], found["width_odd"]) == (0.0, 0.0, 1.0)
    assert found["width_share"] == 1.0
    assert found["height_odd"] == 0.0


@pytest.mark.parametrize("masks", [np.ones_like(MASKS), np.full_like(MASKS, np.nan)])
def test_masks_that_are_all_alike_or_not_finite_say_nothing(masks):
    assert facts(MASKS, masks) == {}


@pytest.mark.parametrize("side", [8, 64, 65, 100, 127, 128, 1000])
def test_a_mirror_exchanges_the_places_that_are_read(side):
    places = places_read(side)
    assert len(places) == min(side, 64) == len(set(places))
    mirrored = [side - 1 - place for place in reversed(places)]
    assert max(abs(one - other) for one, other in zip(places, mirrored, strict=True)) <= 1


def test_tiny_masks_and_those_of_very_many_classes_are_not_read():
    assert is_readable(8, 8, 2)
    assert is_readable(4000, 4000, 2)
    assert not is_readable(7, 64, 2)
    assert not is_readable(64, 64, 1000)
