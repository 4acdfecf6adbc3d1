import pytest
from rules.builders import run_rule
from rules.updates.parameter_rows import optimizer, parameter, trace

from nntrace.rules import Finding, Severity


def found(steps=1000, **settings):
    """What is found; that updates cannot be judged is of no interest."""
    events = [optimizer(file="train.py", line=9, **settings)]
    rows = trace(parameter("fc.weight"), steps=steps, sampled=range(20), events=events)
    return [result for result in run_rule("UPD07", rows) if isinstance(result, Finding)]


def sgd(momentum, **more):
    return found(**{"name": "SGD", "class": "SGD"}, momentum=momentum, **more)


def adam(first, second, **more):
    return found(beta1=first, beta2=second, **more)


@pytest.mark.parametrize(("momentum", "count"), [(0.996, 1), (0.995, 1), (0.994, 0), (0.0, 0)])
def test_a_momentum_of_two_hundred_steps_in_a_short_run_is_a_warning(momentum, count):
    results = sgd(momentum)
    assert [finding.level for finding in results] == [Severity.WARNING] * count
    if count:
        assert results[0].location.line == 9


@pytest.mark.parametrize(("steps", "count"), [(99, 0), (100, 1), (9_990, 1), (10_010, 0)])
def test_a_momentum_may_last_long_in_a_run_that_lasts_ten_times_as_long(steps, count):
    assert len(sgd(0.999, steps=steps)) == count


@pytest.mark.parametrize(
    ("first", "second", "count"),
    [(0.999, 0.9, 1), (0.99, 0.95, 1), (0.99, 0.97, 0), (0.95, 0.8, 0), (0.9, 0.999, 0)],
)
def test_squares_that_are_forgotten_sooner_than_the_bound_allows_are_a_warning(
    first, second, count
):
    assert len(adam(first, second, steps=50_000)) == count


def test_the_first_average_of_adam_is_a_momentum():
    assert len(adam(0.999, 0.9999)) == 1
    assert adam(0.999, 0.9999, steps=20_000) == []


def test_two_numbers_of_another_optimizer_mean_something_else():
    assert found(**{"name": "Lion", "class": "Lion"}, beta1=0.999, beta2=0.9) == []
