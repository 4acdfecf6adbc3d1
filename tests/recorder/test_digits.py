import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from nntrace.recorder.digits import shorten
from nntrace.schema import MOMENTS, QUANTILES, STATISTICS

FLOATS = some.floats(width=32)


def shortened(values, low=-np.inf, high=np.inf):
    columns = {name: np.array(values, dtype=np.float32) for name in STATISTICS}
    columns["min"] = np.full(len(values), low, dtype=np.float32)
    columns["max"] = np.full(len(values), high, dtype=np.float32)
    shorten(columns)
    return columns


@given(some.lists(FLOATS, min_size=1, max_size=30))
def test_what_is_rounded_is_nearer_than_the_hundred_thousandth_part(values):
    columns = shortened(values)
    exact = np.array(values, dtype=np.float32)
    normal = np.abs(exact) >= np.finfo(np.float32).tiny  # of smaller ones fewer bits are there
    for name in (*QUANTILES, "skew"):
        np.testing.assert_allclose(columns[name][normal], exact[normal], rtol=1e-5)
        assert np.array_equal(columns[name][exact == 0], exact[exact == 0])
    for name in ("mean", "std", "rms"):
        assert np.array_equal(columns[name], exact, equal_nan=True)


@pytest.mark.parametrize("value", [0.1, -0.7, 3.3333333, 1e-30])
def test_quantiles_of_a_constant_are_the_constant(value):
    columns = shortened([value], low=value, high=value)
    assert {columns[name][0] for name in (*QUANTILES, "min", "max")} == {np.float32(value)}


def test_only_shapes_are_rounded():
    value = np.float32(1 / 3)
    columns = shortened([value])
    changed = {name for name, column in columns.items() if column[0] != value}
    assert changed.isdisjoint({"mean", "std", "rms", "zero_fraction", "nonfinite_fraction"})
    assert changed - set(MOMENTS) == {
        *QUANTILES,
        "skew",
        "kurtosis",
        "example_std",
        "effective_rank",
    }
