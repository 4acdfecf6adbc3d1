import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nntrace.recorder.blocks import Workspace
from nntrace.recorder.rows import Members
from nntrace.recorder.sample import Layout
from nntrace.recorder.statistics import (
    batched_statistics,
    saturated_fraction,
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
    layout = layout or Layout(1, 1, len(rows[0]), per_unit=False)
    return statistics_by_layout({layout: rows})


def statistics_by_layout(rows_by_layout):
    """Of rows that are numbered in turn."""
    members, count = {}, 0
    for layout, rows in rows_by_layout.items():
        values = [np.asarray(row, dtype=np.float32).reshape(-1) for row in rows]
        members[layout] = Members(np.arange(count, count + len(rows)), values)
        count += len(rows)
    with np.errstate(all="ignore"):
        return batched_statistics(members, count, Workspace())


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
        assert np.array_equal(together[key][0], column[0], equal_nan=True), key


def test_rows_of_one_length_and_several_layouts_are_told_apart():
    layouts = [Layout(16, 1, 256), PARAMETER, Layout(4, 4, 256), Layout(1, 16, 256)]
    rows = {layout: GENERATOR.standard_normal((40, N)).astype(np.float32) for layout in layouts}
    together = statistics_by_layout(rows)
    for number, layout in enumerate(layouts):
        for key, column in statistics_by_layout({layout: rows[layout]}).items():
            part = together[key][40 * number : 40 * number + 40]
            assert np.array_equal(part, column, equal_nan=True), (layout, key)


def test_a_number_that_no_row_has_is_given_no_statistics():
    members = {PARAMETER: Members(np.array([1]), [GENERATOR.standard_normal(N).astype("f4")])}
    found = batched_statistics(members, 3, Workspace())
    for key, column in found.items():
        assert np.isnan(column[[0, 2]]).all(), key


@pytest.mark.parametrize("n", [5, 300, 9000, 100_000])
def test_rows_of_any_length_equal_their_definitions(n):
    rows = GENERATOR.standard_normal((3, n)).astype(np.float32) * np.float32([[1], [1e-12], [1e9]])
    found = statistics_of(*rows)
    for number, row in enumerate(rows):
        expected = reference(row)
        spread = expected["std"]
        for key, value in expected.items():
            slack = 1e-3 if key in ("skew", "kurtosis") else 1e-6 * spread
            assert found[key][number] == pytest.approx(value, rel=1e-4, abs=slack), key


def test_half_precision_rows_equal_their_definitions():
    row = GENERATOR.standard_normal(N).astype(np.float16).astype(np.float32)
    found, expected = statistics_of(row), reference(row)
    for key, value in expected.items():
        assert found[key][0] == pytest.approx(value, rel=1e-3, abs=1e-4), key


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
    for layout in (Layout(1, 3, 5), Layout(1, 1, 15, per_unit=False)):
        assert math.isnan(statistics_of(row, layout=layout)["example_std"][0])


FLOATS = st.floats(width=32, allow_subnormal=True)


@given(
    hnp.arrays(np.float32, hnp.array_shapes(min_dims=2, max_dims=2, max_side=20), elements=FLOATS)
)
def test_any_floats_give_statistics_in_order_and_within_their_range(values):
    found = statistics_of(*values)
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
