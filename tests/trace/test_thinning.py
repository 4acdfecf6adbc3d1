"""A bounded trace: rules are given rows that were recorded, what is drawn hides no spike."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from run_folders import small_run, write_run

from nntrace.arrow import arrow_schema, empty_table
from nntrace.schema import Role
from nntrace.trace import Trace
from nntrace.trace.thinning import (
    FIRST_SAMPLES,
    LAST_SAMPLES,
    LEAST_SAMPLES,
    Thinning,
    some_of,
)

SITES = 3


def samples(first: int, count: int) -> pa.Table:
    """Every second step, three sites; the value of a row tells its step and site."""
    numbers = np.arange(first * SITES, (first + count) * SITES)
    known = {"step": numbers // SITES * 2, "site": numbers % SITES, "std": numbers}
    columns = [
        pa.array(known[field.name]).cast(field.type)
        if field.name in known
        else pa.nulls(len(numbers), field.type)
        for field in arrow_schema("stats")
    ]
    return pa.Table.from_arrays(columns, schema=arrow_schema("stats"))


def thinned(total: int, at_once: int, most_rows: int = 0) -> tuple[Thinning, pa.Table]:
    thinning, kept = Thinning(most_rows, drawn=True), empty_table("stats")
    for first in range(0, total, at_once):
        kept = thinning.take(kept, samples(first, min(at_once, total - first)))
    return thinning, kept


def test_within_the_bound_every_row_is_kept() -> None:
    thinning, kept = thinned(LEAST_SAMPLES, 10)
    assert kept.num_rows == LEAST_SAMPLES * SITES
    assert thinning.extremes is None


def test_kept_rows_are_whole_samples_as_they_were_recorded() -> None:
    _, kept = thinned(3000, 100)
    steps = np.unique(kept["step"].to_numpy())
    assert kept.num_rows == len(steps) * SITES
    assert (kept["std"].to_numpy() == kept["step"].to_numpy() / 2 * SITES + kept["site"]).all()


def test_the_first_and_the_last_samples_and_the_landmarks_of_all_ranks_are_kept() -> None:
    _, kept = thinned(3000, 100)
    steps = set(kept["step"].to_pylist())
    assert steps >= set(range(0, 2 * FIRST_SAMPLES, 2))
    assert steps >= set(range(2 * (3000 - LAST_SAMPLES), 6000, 2))
    assert steps >= {2048, 2304, 2560, 4096, 4608}


def test_old_samples_are_thinned_evenly() -> None:
    _, kept = thinned(20_000, 500, most_rows=3000)
    steps = np.unique(kept["step"].to_numpy())
    gaps = np.diff(steps[(steps > 5000) & (steps < 30_000)])
    assert len(gaps) > 100
    assert len(set(gaps.tolist())) == 1


@settings(max_examples=30, deadline=None)
@given(st.integers(LEAST_SAMPLES, 4000), st.integers(100, 700), st.integers(0, 3000))
def test_a_bound_is_kept_and_no_extreme_is_lost(total: int, at_once: int, most: int) -> None:
    thinning, kept = thinned(total, at_once, most)
    largest = max(most, 3 * LEAST_SAMPLES * SITES)
    assert kept.num_rows <= largest
    drawn = kept if thinning.extremes is None else thinning.extremes
    assert drawn.num_rows <= largest
    for site in range(SITES):
        values = drawn.filter(pa.array(drawn["site"].to_numpy() == site))["std"].to_numpy()
        assert (values.min(), values.max()) == (site, (total - 1) * SITES + site)


def test_a_spike_of_one_sample_is_drawn_where_it_was() -> None:
    thinning, kept = Thinning(0, drawn=True), empty_table("stats")
    for first in range(0, 4000, 100):
        fresh = samples(first, 100)
        if first == 1000:
            spiked = fresh["std"].to_numpy().copy()
            spiked[4] = 1e6
            fresh = fresh.set_column(
                fresh.schema.get_field_index("std"), "std", pa.array(spiked, pa.float32())
            )
        kept = thinning.take(kept, fresh)
    assert thinning.extremes is not None
    spike = thinning.extremes.filter(pa.array(thinning.extremes["std"].to_numpy() == 1e6))
    assert spike["site"].to_pylist() == [1]
    assert abs(spike["step"][0].as_py() - 2002) < 2 * 4000 / 30
    assert thinning.extremes["mean"].null_count == thinning.extremes.num_rows


@pytest.fixture(scope="module")
def long_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A thousand sampled steps in batches of fifty rows."""
    stats = samples(0, 1000).to_pylist()
    sites = [{"id": n, "path": f"layer{n}", "role": "activation"} for n in range(SITES)]
    path = tmp_path_factory.mktemp("runs") / "long"
    steps = [{"step": n, "loss": 1.0} for n in range(2000)]
    return write_run(path, rows_per_batch=50, sites=sites, stats=stats, steps=steps)


def test_a_bounded_trace_draws_what_the_whole_one_would(long_run: Path) -> None:
    bounded, whole = Trace.open(long_run, most_rows=500), Trace.open(long_run)
    assert len(bounded.sampled_steps) < 300 < len(whole.sampled_steps)
    assert len(bounded.steps) == len(whole.steps)
    ours, all_of_it = (t.series(Role.ACTIVATION, "std") for t in (bounded.drawn, whole))
    assert (ours.max(axis=0) == all_of_it.max(axis=0)).all()
    assert (ours.min(axis=0) == all_of_it.min(axis=0)).all()


def test_an_unbounded_trace_draws_itself(long_run: Path) -> None:
    trace = Trace.open(long_run)
    assert trace.drawn is trace


def test_the_newest_of_a_run_is_its_steps_and_its_first_and_last_samples(long_run: Path) -> None:
    newest = Trace.newest(long_run)
    assert len(newest.steps) == 2000
    assert 0 < len(newest.table("stats")) <= 100
    assert newest.sampled_steps[[0, -1]].tolist() == [0, 1998]
    assert not newest.refresh()


def test_the_newest_of_a_packed_run_is_all_of_it(tmp_path: Path) -> None:
    from nntrace.keep import pack

    run = small_run(tmp_path / "run")
    whole = Trace.open(run)
    pack(run)
    assert len(Trace.newest(run).table("stats")) == len(whole.table("stats"))


def test_a_run_read_at_once_keeps_its_ends_and_an_even_part_of_the_rest():
    steps = np.arange(0, 40_000, 10)
    kept = some_of(steps, np.full(len(steps), 100), most=100_000)
    assert kept[:FIRST_SAMPLES].all()
    assert kept[-LAST_SAMPLES:].all()
    assert 40_000 < 100 * kept.sum() <= 100_000
    assert np.diff(np.flatnonzero(kept)).max() <= 8


def test_a_short_run_is_read_whole():
    assert some_of(np.arange(50), np.full(50, 10), most=500).all()


def test_what_is_not_drawn_is_thinned_as_it_is_read(tmp_path: Path) -> None:
    stats = samples(0, 1000).to_pylist()
    sites = [{"id": n, "path": f"layer{n}", "role": "activation"} for n in range(SITES)]
    steps = [{"step": n, "loss": 1.0, "sampled": n % 2 == 0} for n in range(2000)]
    run = write_run(tmp_path, rows_per_batch=4 * SITES, sites=sites, stats=stats, steps=steps)
    whole, part = Trace.open(run), Trace.open(run, most_rows=1500, drawn=False)
    at = np.searchsorted(whole.sampled_steps, part.sampled_steps)
    assert 200 < len(part.sampled_steps) <= 500
    assert part.sampled_steps[-1] == whole.sampled_steps[-1]
    assert part.drawn is part
    assert whole.samples_left_out == 0
    assert part.samples_left_out == len(whole.sampled_steps) - len(part.sampled_steps)
    ours, all_of_it = (t.series(Role.ACTIVATION, "std") for t in (part, whole))
    assert (ours == all_of_it[at]).all()
    assert not part.refresh()
