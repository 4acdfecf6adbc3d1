"""Cosines of steps in a row, read off the samples."""

import numpy as np
import pytest

from nntrace.recorder.sample import NO_SITE, Layout, Sample, SiteSample
from nntrace.recorder.successive import SuccessiveSteps
from nntrace.rows import Site
from nntrace.schema import Role

SITES = {
    0: Site(0, "weight", Role.PARAM_GRAD, shape=(2, 2)),
    1: Site(1, "weight", Role.UPDATE, shape=(2, 2), optimizer="SGD"),
    2: Site(2, "bias", Role.UPDATE, shape=(4,), optimizer="SGD"),
    3: Site(3, "other", Role.UPDATE, shape=(2, 2), optimizer="SGD.2"),
}


def sample(step, **values):
    """A sample of one step; a keyword `_1` gives the values of site 1."""
    arrays = {int(name[1:]): np.array(four, np.float32) for name, four in values.items()}
    layout = Layout(1, 1, 4, per_unit=False)
    parts = [SiteSample(site, 4 * place, layout) for place, site in enumerate(arrays)]
    parts.append(SiteSample(NO_SITE, 0, layout))
    return Sample(step, np.concatenate(list(arrays.values())), tuple(parts))


def cosines(*samples):
    successive = SuccessiveSteps()
    return [successive.compare(one, SITES) for one in samples]


def test_gradients_and_updates_of_steps_in_a_row_are_compared():
    first, second = cosines(
        sample(5, _0=[1, 0, 0, 0], _1=[1, 1, 0, 0]), sample(6, _0=[1, 1, 0, 0], _1=[-1, -1, 0, 0])
    )
    assert first == {}
    assert second == pytest.approx({"gradient_cosine": 0.5**0.5, "update_cosine": -1.0})


def test_a_step_between_that_was_not_sampled_ends_the_row():
    assert cosines(sample(5, _1=[1, 0, 0, 0]), sample(7, _1=[1, 0, 0, 0])) == [{}, {}]


def test_optimizers_that_take_turns_are_compared_each_with_itself():
    found = cosines(
        sample(0, _1=[1, 0, 0, 0]),
        sample(1, _3=[0, 1, 0, 0]),
        sample(2, _1=[1, 0, 0, 0]),
        sample(3, _3=[0, -1, 0, 0]),
    )
    assert [step.get("update_cosine") for step in found] == [None, None, 1.0, -1.0]


def test_only_matrices_count():
    assert cosines(sample(0, _2=[1, 0, 0, 0]), sample(1, _2=[1, 0, 0, 0])) == [{}, {}]


def test_an_update_of_zero_has_no_direction():
    _, found = cosines(sample(0, _1=[1, 0, 0, 0]), sample(1, _1=[0, 0, 0, 0]))
    assert np.isnan(found["update_cosine"])
