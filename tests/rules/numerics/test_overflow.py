import pytest
from rules.builders import findings, site, trace_of


def growing(last, *, dtype="float16", count=8, first=1.0):
    largest = [first * (last / first) ** (n / (count - 1)) for n in range(count)]
    return [site("fc1", "activation", dtype=dtype, min=-1.0, max=largest)]


@pytest.mark.parametrize(("last", "count"), [(6500.0, 0), (6600.0, 1)])
def test_values_within_a_decade_of_what_float16_holds_are_overflow_ahead(last, count):
    trace = trace_of(loss=[1.0] * 8, sites=growing(last))
    assert len(findings("NUM05", trace)) == count


@pytest.mark.parametrize(("first", "count"), [(70.0, 0), (60.0, 1)])
def test_only_values_that_grew_a_hundredfold_are_overflow_ahead(first, count):
    trace = trace_of(loss=[1.0] * 8, sites=growing(6600.0, first=first))
    assert len(findings("NUM05", trace)) == count


@pytest.mark.parametrize(("last", "count"), [(1e18, 0), (1e20, 1)])
def test_growth_that_reaches_the_limit_of_float32_in_as_many_steps_is_overflow_ahead(last, count):
    trace = trace_of(loss=[1.0] * 8, sites=growing(last, dtype="float32"))
    assert len(findings("NUM05", trace)) == count


@pytest.mark.parametrize(("count", "found"), [(15, 0), (16, 1)])
def test_a_long_growth_that_reaches_the_limit_of_float16_is_overflow_ahead(count, found):
    trace = trace_of(loss=[1.0] * count, sites=growing(800.0, count=count))
    assert len(findings("NUM05", trace)) == found


@pytest.mark.parametrize(("last", "found"), [(250.0, 0), (260.0, 1)])
def test_a_long_growth_by_half_of_what_float16_holds_is_overflow_ahead(last, found):
    trace = trace_of(loss=[1.0] * 16, sites=growing(last, count=16))
    assert len(findings("NUM05", trace)) == found


def test_large_values_that_do_not_grow_are_healthy():
    sites = [site("fc1", "activation", dtype="float16", min=-1.0, max=[6e4, 5e4] * 4)]
    assert findings("NUM05", trace_of(loss=[1.0] * 8, sites=sites)) == []


@pytest.mark.parametrize(("sign", "own"), [(-1.0, True), (1.0, False)])
def test_growth_under_a_loss_without_a_least_value_is_no_work_of_large_steps(sign, own):
    loss = [sign * 1e20 ** (n / 39) for n in range(40)]
    sites = growing(1e30, dtype="float32", count=40)
    [finding] = findings("NUM05", trace_of(loss=loss, sites=sites))
    assert ("UPD01" in finding.not_explained_by) is own
    assert ("UPD01" in finding.explains) is own


@pytest.mark.parametrize(("depth", "own"), [(3e6, True), (1e6, False)])
def test_a_loss_a_million_times_as_far_below_zero_as_its_start_has_no_least_value(depth, own):
    levels = [1.0, -0.7 * depth, -0.9 * depth, -depth]  # it falls ever slower
    sites = growing(1e30, dtype="float32", count=40)
    loss = [level for level in levels for _ in range(10)]
    [finding] = findings("NUM05", trace_of(loss=loss, sites=sites))
    assert ("sign of each of its terms" in finding.advice) is own
