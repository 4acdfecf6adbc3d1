import json

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as some
from run_folders import sites, stats, steps

from nntrace.arrow import arrow_schema
from nntrace.diff.compare import TOLERANCE
from nntrace.keep.rounding import rounded, to_bits
from nntrace.schema import MOMENTS, QUANTILES, STATISTICS

Rows = list[dict[str, object]]
FINITE = some.floats(width=32, allow_nan=False, allow_infinity=False)


def packed(stream: str, rows: Rows, site_rows: Rows | None = None) -> pa.Table:
    def table(name: str, listed: Rows) -> pa.Table:
        return pa.Table.from_pylist(listed, schema=arrow_schema(name))

    return rounded(table(stream, rows), stream, table("sites", site_rows or sites("fc1", "fc2")))


def statistic(name: str, values: list[float | None], **others: float) -> list[float | None]:
    rows = [row | others | {name: v} for v in values for row in stats(1, 1)]
    return packed("stats", rows)[name].to_pylist()


def test_zeros_signs_small_whole_numbers_and_what_is_not_finite_stay() -> None:
    values = [0.0, 1.0, -64.0, 63.0, float("inf"), float("-inf"), None, 3.4028234663852886e38]
    for name in STATISTICS:
        assert statistic(name, values) == values, name
    assert np.isnan(statistic("mean", [float("nan")])[0])
    assert statistic("skew", [-1e-30])[0] < 0


def test_what_a_comparison_looks_at_is_nearer_than_its_tolerance() -> None:
    values = np.random.default_rng(0).normal(size=200).tolist()
    for name in ("std", "rms"):
        kept = statistic(name, values)
        np.testing.assert_allclose(kept, values, rtol=TOLERANCE / 3)
    kept = statistic("mean", values, rms=1.5)
    np.testing.assert_allclose(kept, values, rtol=0.004)
    np.testing.assert_allclose(kept, values, atol=1.5 * TOLERANCE / 2, rtol=0)


def test_a_narrow_distribution_far_from_zero_keeps_its_shape() -> None:
    places = np.linspace(0.999, 1.001, 41).tolist()
    for name in ("min", "max", *QUANTILES):
        kept = statistic(name, places, std=0.0005)
        np.testing.assert_allclose(kept, places, atol=0.0005 / 64, rtol=0)


@given(some.lists(FINITE, min_size=2, max_size=20), some.floats(0, 2.0**100, width=32))
def test_order_is_kept_and_rounding_twice_changes_nothing(values: list[float], std: float) -> None:
    ordered = sorted(values)
    rows = [
        row | dict.fromkeys(STATISTICS, v) | {"std": std} for v in ordered for row in stats(1, 1)
    ]
    once = packed("stats", rows)
    for name in ("min", "q50", "max", "skew", "zero_fraction"):
        kept = once[name].to_pylist()
        assert kept == sorted(kept)
    assert packed("stats", once.to_pylist()).equals(once)


def test_constants_and_the_ranges_of_inputs_and_outputs_stay_exact() -> None:
    rows = [row | {"mean": 1.2345678, "max": 1.0012345} for row in stats(1, 1, 2)]
    both = packed("stats", rows, sites("x", role="input", first=1) + sites("fc", first=2))
    assert [v == np.float32(1.0012345) for v in both["max"].to_pylist()] == [True, False]
    assert not any(v == np.float32(1.2345678) for v in both["mean"].to_pylist())
    constant = [row | dict.fromkeys(MOMENTS, 1.2345678) | {"std": 0.0} for row in stats(1, 1)]
    assert packed("stats", constant)["mean"].to_pylist() == [np.float32(1.2345678)]


def test_of_steps_only_times_are_rounded() -> None:
    row = steps(1, loss=1.23456789012345, grad_norm=0.123456789, cpu_ns=None)[0]
    row |= {"time_ns": 1_795_258_743_095_272_999, "duration_ns": 123_456_789}
    (kept,) = packed("steps", [row]).to_pylist()
    changed = {name for name, value in row.items() if kept[name] != value}
    assert changed == {"time_ns", "duration_ns"}
    assert abs(kept["time_ns"] - row["time_ns"]) <= 512
    assert abs(kept["duration_ns"] / row["duration_ns"] - 1) < 0.001


def test_of_events_only_times_and_the_inputs_of_passes_are_rounded() -> None:
    told = {"model": '"input_mean": 0.123456789', "loss": 0.123456789, "input_min": -1.5e-09}
    inputs = {"input_mean": 0.123456789, "input_max": 65535.0, "input_std": None}
    row = {"step": 1, "time_ns": 1_795_258_743_095_272_999, "severity": "info"}
    payload = json.dumps(told | inputs)
    rows = [row | {"kind": kind, "payload": payload} for kind in ("evaluation", "mode")]
    of_pass, other = packed("events", rows).to_pylist()
    assert json.loads(of_pass["payload"]) == told | inputs | {"input_mean": 0.12346}
    assert other["payload"] == payload
    assert abs(other["time_ns"] - row["time_ns"]) <= 512


def test_of_kept_tensors_only_filters_are_rounded() -> None:
    kept = {"step": 0, "path": "conv", "values": [0.123456789, -1.0, float("nan")]}
    batch, filters = packed(
        "tensors", [kept | {"role": "input"}, kept | {"role": "param"}]
    ).to_pylist()
    np.testing.assert_equal(batch["values"], kept["values"])
    assert 0 < abs(filters["values"][0] - 0.123456789) < 0.0005
    np.testing.assert_equal(filters["values"][1:], kept["values"][1:])


def test_so_many_bits_are_left() -> None:
    assert to_bits(np.array([255.0, 257.0, 0.1]), 8).tolist() == [255.0, 256.0, 0.10009765625]
