import numpy as np
import pytest

from nntrace.rules.common.depth import until_end

DENSE = np.arange(20)


def since(holds, steps, judged=None):
    holds = np.array(holds, dtype=bool)
    judged = np.ones(len(holds), dtype=bool) if judged is None else np.array(judged, dtype=bool)
    return until_end(holds, judged, np.array(steps))


@pytest.mark.parametrize(("last", "found"), [(4, None), (5, 15)])
def test_a_state_lasts_if_the_last_five_samples_have_it(last, found):
    assert since([False] * (20 - last) + [True] * last, DENSE) == found


@pytest.mark.parametrize(("gap", "found"), [(1, 10), (2, None)])
def test_a_state_of_the_later_half_may_miss_a_tenth_of_it(gap, found):
    assert since([True] * (18 - gap) + [False] * gap + [True] * 2, DENSE) == found


def test_a_state_that_is_over_at_the_end_does_not_last():
    assert since([True] * 19 + [False], DENSE) is None


@pytest.mark.parametrize(("end", "found"), [(1050, None), (1120, 10)])
def test_a_state_lasts_for_a_tenth_of_the_run_however_densely_it_is_sampled(end, found):
    steps = [*range(0, 1000, 100), *np.linspace(1000, end, 10, dtype=int)]
    assert since([False] * 10 + [True] * 10, steps) == found


def test_samples_that_are_not_judged_count_neither_way():
    holds, judged = [True] * 6 + [False] * 14, [True] * 6 + [False] * 14
    assert since(holds, DENSE, judged) == 0
    assert since(holds[1:], DENSE[1:], [*judged[2:], False]) is None
