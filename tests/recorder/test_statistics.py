import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nntrace.recorder.sample import Layout
from nntrace.recorder.statistics import (
    batched_statistics,
    saturated_fraction,
    signed_log2_histograms,
)
from nntrace.schema import QUANTILES

GENERATOR = np.random.default_rng(7)
N = 4096
ROWS = {
    "normal": GENERATOR.standard_normal(N),
    "shifted far from zero": GENERATOR.standard_normal(N) + 1000,
    "heavy-tailed": GENERATOR.standard_t(1.5, N),
    "one outlier": np.r_[np.full(N - 1, 1e-3), 50.0],
    "sparse": np.where(GENERATOR.random(N) < 0.97, 0, GENERATOR.standard_normal(N)),
    "non-negative": np.maximum(GENERATOR.standard_normal(N), 0),
    "tiny": GENERATOR.standard_normal(N) * 1e-30,
    "huge": GENERATOR.standard_normal(N) * 1e35,
    "two values": GENERATOR.integers(0, 2, N),
    "wide in magnitude": GENERATOR.choice([-1, 1], N) * 10.0 ** GENERATOR.uniform(-20, 20, N),
    "two elements": np.array([-3.0, 5.0]),
}
PARAMETER = Layout(1, 1, N, per_unit=False)


def reference(row):
    """The definitions, in float64."""
    values = np.asarray(row, dtype=np.float64)
    mean, std = values.mean(), values.std()
    scaled = (values - mean) / std if std else np.full(len(values), np.nan)
    return {
        "mean": mean,
        "std": std,
        "rms": math.sqrt((values**2).mean()),
        "min": values.min(),
        "max": values.max(),
        **{name: np.quantile(values, q) for name, q in QUANTILES.items()},
        "zero_fraction": (values == 0).mean(),
        "nonfinite_fraction": 0.0,
        "skew": (scaled**3).mean(),
        "kurtosis": (scaled**4).mean() - 3,
    }


def statistics_of(*rows, layout=None):
    values = np.stack([np.asarray(row, dtype=np.float32) for row in rows])
    with np.errstate(all="ignore"):
        return batched_statistics(values, layout or Layout(1, 1, values.shape[1], per_unit=False))


@pytest.mark.parametrize("name", ROWS)
def test_statistics_equal_their_definitions_in_double_precision(name):
    row = np.asarray(ROWS[name], dtype=np.float32)
    expected = reference(row)
    found = {key: column[0] for key, column in statistics_of(row).items()}
    spread = expected["std"]
    for key, value in expected.items():
        tolerance = {"rel": 1e-4, "abs": 1e-6 * spread}
        if key in ("skew", "kurtosis"):
            tolerance = {"rel": 1e-3, "abs": 1e-3}
        assert found[key] == pytest.approx(value, **tolerance), key


def test_rows_are_independent_of_the_rows_they_are_computed_with():
    rows = [row for row in ROWS.values() if len(row) == N]
    together = statistics_of(*rows)
    for number, row in enumerate(rows):
        alone = statistics_of(row)
        for key, column in alone.items():
            assert np.array_equal(column[0], together[key][number], equal_nan=True), key


def test_the_mean_of_a_few_values_that_nearly_cancel_is_exact():
    row = np.array([4.720450162887573, -4.220854997634888, -0.4995839595794678], np.float32)
    assert statistics_of(row)["mean"][0] == pytest.approx(row.astype(np.float64).mean(), rel=1e-9)


@pytest.mark.parametrize("value", [0.0, 1.0, -0.1, 1e-30, 1e35, 3.4e38, 1e-42])
@pytest.mark.parametrize("n", [1, 4096])
def test_a_constant_row_has_no_spread_and_no_shape(value, n):
    found = {key: column[0] for key, column in statistics_of(np.full(n, value)).items()}
    constant = float(np.float32(value))
    assert found["std"] == 0
    assert found["mean"] == found["min"] == found["max"] == found["q50"] == constant
    assert found["rms"] == pytest.approx(abs(constant))
    assert math.isnan(found["skew"])
    assert math.isnan(found["kurtosis"])


def test_nonfinite_values_are_counted_and_left_out():
    row = np.array([1.0, np.nan, 3.0, np.inf, -np.inf, 0.0, 2.0, 2.0])
    found = statistics_of(row)
    finite = reference([1.0, 3.0, 0.0, 2.0, 2.0])
    for key in finite.keys() - {"nonfinite_fraction"}:
        assert found[key][0] == pytest.approx(finite[key]), key
    assert found["nonfinite_fraction"][0] == pytest.approx(3 / 8)


def test_a_row_without_any_finite_value_has_no_moments():
    found = statistics_of(np.full(10, np.nan))
    assert found["nonfinite_fraction"][0] == 1
    assert all(math.isnan(found[key][0]) for key in ("mean", "std", "min", "q50", "skew"))


def test_a_nonfinite_row_changes_nothing_about_its_neighbours():
    layout = Layout(8, 1, 4)
    row = GENERATOR.standard_normal(32).astype(np.float32)
    broken = row.copy()
    broken[5] = np.nan
    alone = statistics_of(row, layout=layout)
    together = statistics_of(row, broken, layout=layout)
    for key, column in alone.items():
        assert together[key][0] == column[0], key


@pytest.mark.parametrize("scale", [1.0, 1e-30, 1e30])
def test_example_std_is_the_spread_of_units_between_examples(scale):
    layout = Layout(examples=16, positions=3, units=5)
    row = GENERATOR.standard_normal((16, 3, 5)) * scale + np.arange(5) * 10 * scale
    row = row.astype(np.float32)
    expected = math.sqrt((row.astype(np.float64).std(axis=0) ** 2).mean())
    found = statistics_of(row.ravel(), layout=layout)["example_std"][0]
    assert found == pytest.approx(expected, rel=1e-3)


def test_example_std_is_zero_when_all_examples_are_equal():
    one = GENERATOR.standard_normal((1, 3, 5)).astype(np.float32)
    row = np.broadcast_to(one, (16, 3, 5)).ravel()
    assert statistics_of(row, layout=Layout(16, 3, 5))["example_std"][0] == 0


def test_a_batch_of_one_and_a_parameter_have_no_example_std():
    row = GENERATOR.standard_normal(15)
    assert "example_std" not in statistics_of(row, layout=Layout(1, 3, 5))
    assert "example_std" not in statistics_of(row, layout=Layout(1, 1, 15, per_unit=False))


FLOATS = st.floats(width=32, allow_subnormal=True)


@given(
    hnp.arrays(np.float32, hnp.array_shapes(min_dims=2, max_dims=2, max_side=20), elements=FLOATS)
)
def test_any_floats_give_statistics_in_order_and_within_their_range(values):
    with np.errstate(all="ignore"):
        found = batched_statistics(values, Layout(1, 1, values.shape[1], per_unit=False))
    for number, row in enumerate(values):
        finite = row[np.isfinite(row)].astype(np.float64)
        fraction = found["nonfinite_fraction"][number]
        assert fraction == pytest.approx(1 - len(finite) / len(row))
        if not len(finite):
            continue
        inner = [found[name][number] for name in QUANTILES]
        ordered = [found["min"][number], *inner, found["max"][number]]
        assert ordered[0] == finite.min()
        assert ordered[-1] == finite.max()
        slack = 1e-12 * np.abs(finite).max()
        assert all(a <= b + slack for a, b in pairwise(ordered))
        assert found["std"][number] >= 0
        bound = np.abs(finite).max()
        assert abs(found["mean"][number]) <= bound * (1 + 1e-5)
        assert found["rms"][number] <= bound * (1 + 1e-5)


def test_saturation_counts_what_lies_within_three_percent_of_either_rail():
    values = np.array([-1, -0.95, -0.93, 0, 0.93, 0.95, 1], dtype=np.float32)
    assert saturated_fraction(values, -1.0, 1.0) == pytest.approx(4 / 7)
    assert saturated_fraction(np.empty(0, dtype=np.float32), 0.0, 1.0) == 0


def histogram(*values):
    found = signed_log2_histograms([np.array(values, dtype=np.float32)])
    assert found.lengths.tolist() == [len(found.edges)]
    return found.edges, found.counts


def test_a_histogram_counts_powers_of_two_by_sign():
    edges, counts = histogram(0, -0.0, 1, 1.5, 2, -1, -3, 0.25, 1e-44)
    assert dict(zip(edges.tolist(), counts.tolist(), strict=True)) == {
        -2.0: 1,
        -1.0: 1,
        0.0: 3,
        0.25: 1,
        1.0: 2,
        2.0: 1,
    }


def test_histograms_of_several_rows_follow_one_another():
    found = signed_log2_histograms([np.array(row, np.float32) for row in ([1, 2, 2], [], [4])])
    assert found.lengths.tolist() == [2, 0, 1]
    assert found.edges.tolist() == [1, 2, 4]
    assert found.counts.tolist() == [1, 2, 1]


def test_a_histogram_keeps_nonfinite_values():
    edges, counts = histogram(np.inf, -np.inf, np.nan, 1)
    assert edges.tolist() == [-np.inf, 1.0, np.inf]
    assert counts.sum() == 4


@given(hnp.arrays(np.float32, st.integers(1, 200), elements=FLOATS))
def test_a_histogram_counts_every_value_once_in_ascending_bins_that_hold_it(values):
    edges, counts = histogram(*values)
    assert counts.sum() == len(values)
    assert (counts > 0).all()
    assert (np.diff(edges[np.isfinite(edges)]) > 0).all()
    with np.errstate(over="ignore"):
        for edge, count in zip(edges, counts, strict=True):
            if np.isfinite(edge) and edge:
                low, high = sorted((abs(edge), abs(2 * edge)))
                inside = (np.abs(values) >= low) & (np.abs(values) < high)
                assert (inside & (np.sign(values) == np.sign(edge))).sum() == count
