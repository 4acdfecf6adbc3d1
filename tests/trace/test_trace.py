import json
import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from run_folders import segment, sites, small_run, stats, steps, write_run

from nntrace.arrow import arrow_schema
from nntrace.errors import DamagedTraceError, NotARunError, SchemaVersionError
from nntrace.manifest import Manifest
from nntrace.recorder.streams import StreamWriter
from nntrace.schema import MANIFEST, Role, RunStatus
from nntrace.trace import Trace, last_step


def test_a_finished_run_is_read_whole(tmp_path: Path) -> None:
    trace = Trace.open(small_run(tmp_path, count=6))
    assert len(trace.steps) == 6
    assert [site.path for site in trace.sites] == ["fc1", "fc2"]
    assert trace.series("activation", "mean").tolist() == [[step, step] for step in range(6)]
    assert [event.kind for event in trace.events] == ["seed"]
    assert trace.torn_streams == ()
    assert trace.status is RunStatus.FINISHED


def test_a_growing_run_grows_with_each_refresh(tmp_path: Path) -> None:
    folder = tmp_path / "rank-00000"
    write_run(tmp_path, closed=False)
    trace = Trace.open(tmp_path)
    assert len(trace.steps) == 0
    segment(tmp_path, "steps").unlink()
    writer = StreamWriter(folder, "steps")
    for end in (2, 5):
        writer.append_rows(steps(end)[len(trace.steps) :])
        assert trace.refresh()
        assert trace.steps.step.tolist() == list(range(end))
    assert not trace.refresh()
    writer.close()
    assert not trace.refresh()


def test_sites_written_after_their_first_statistics_are_found_later(tmp_path: Path) -> None:
    write_run(tmp_path, stats=stats(2, 0))
    trace = Trace.open(tmp_path)
    assert trace.series("activation", "mean").shape == (2, 0)
    segment(tmp_path, "sites").unlink()
    StreamWriter(tmp_path / "rank-00000", "sites").append_rows(sites("late"))
    fresh = Trace.open(tmp_path)
    assert fresh.series("activation", "mean").tolist() == [[0.0], [1.0]]


def test_a_torn_run_is_read_to_its_last_complete_record(tmp_path: Path) -> None:
    small_run(tmp_path, rows_per_batch=1)
    path = segment(tmp_path, "steps")
    path.write_bytes(path.read_bytes()[:-50])
    trace = Trace.open(tmp_path)
    assert len(trace.steps) == 5
    assert trace.torn_streams == ("steps",)


def test_a_damaged_run_is_refused(tmp_path: Path) -> None:
    small_run(tmp_path)
    segment(tmp_path, "events").write_bytes(b"x" * 100)
    with pytest.raises(DamagedTraceError, match="events-00000"):
        Trace.open(tmp_path)


@pytest.mark.parametrize("kind", ["missing", "file", "empty folder"])
def test_what_is_not_a_run_is_refused_with_a_next_step(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "run"
    if kind == "file":
        path.touch()
    elif kind == "empty folder":
        path.mkdir()
    with pytest.raises(NotARunError, match=r"nntrace runs|Give the folder"):
        Trace.open(path)


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    small_run(tmp_path)
    (tmp_path / MANIFEST).write_text(json.dumps({"schema": 2}))
    with pytest.raises(SchemaVersionError):
        Trace.open(tmp_path)


def test_a_run_without_any_stream_is_an_empty_trace(tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_text(json.dumps({"schema": 1}))
    trace = Trace.open(tmp_path)
    assert len(trace.steps) == 0
    assert trace.sites == ()
    assert trace.series("activation", "mean").shape == (0, 0)


def test_each_rank_is_its_own_trace(tmp_path: Path) -> None:
    for rank in (0, 3):
        write_run(tmp_path, rank=rank, steps=steps(rank + 1))
    trace = Trace.open(tmp_path)
    assert trace.ranks == (0, 3)
    assert trace.rank == 0
    assert len(trace.of_rank(3).steps) == 4
    assert trace.of_rank(0) is trace


def test_a_rank_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotARunError, match="no rank 7"):
        Trace.open(small_run(tmp_path), rank=7)


@pytest.mark.parametrize("name", ["rank-²", "rank-", "rank-7", "rank--0001", "rank-00001x"])
def test_folders_that_are_no_ranks_are_left_alone(tmp_path: Path, name: str) -> None:
    small_run(tmp_path)
    (tmp_path / name).mkdir()
    assert Trace.open(tmp_path).ranks == (0,)


@pytest.mark.parametrize("number", [2**31 - 1, -1, -(2**31)])
def test_an_absurd_site_id_is_an_id_like_any_other(number: int) -> None:
    trace = Trace.from_rows(
        sites=[*sites("a"), *sites("b", first=number)], steps=steps(2), stats=stats(2, 0, number)
    )
    columns = [site.id for site in trace.sites_of("activation")]
    values = trace.series("activation", "std")
    assert columns == sorted([0, number])
    assert values[0].tolist() == [np.float32(column) for column in columns]


def test_statistics_of_unknown_sites_are_left_out() -> None:
    rows = stats(2, 0, 5, 2**31 - 1, -7)
    trace = Trace.from_rows(sites=sites("a", first=5), steps=steps(2), stats=rows)
    assert trace.series("activation", "std").tolist() == [[5.0], [5.0]]


def test_sites_of_an_unknown_role_are_left_out() -> None:
    rows = [*sites("a"), *sites("b", role="telepathy", first=1)]
    trace = Trace.from_rows(sites=rows, steps=steps(1), stats=stats(1, 0, 1))
    assert [site.path for site in trace.sites] == ["a"]
    assert trace.series("activation", "std").tolist() == [[0.0]]


def test_of_two_sites_with_one_id_the_later_counts() -> None:
    trace = Trace.from_rows(sites=[*sites("a"), *sites("b")], stats=stats(1, 0))
    assert [site.path for site in trace.sites] == ["b"]


def test_a_site_recorded_twice_under_two_ids_keeps_both_columns() -> None:
    trace = Trace.from_rows(sites=sites("a", "a"), stats=stats(1, 0, 1))
    assert trace.series("activation", "std").tolist() == [[0.0, 1.0]]
    first = trace.site("a", "activation")
    assert first is not None
    assert first.id == 0


def test_rows_without_a_key_are_left_out() -> None:
    trace = Trace.from_rows(
        sites=[*sites("a"), {"id": None, "path": "b", "role": "param"}, {"id": 3, "path": "c"}],
        steps=[*steps(2), {"step": None, "loss": 9.0}],
        stats=[*stats(2, 0), {"step": None, "site": 0}, {"step": 0, "site": None}],
    )
    assert len(trace.sites) == 1
    assert len(trace.steps) == 2
    assert len(trace.sampled_steps) == 2


def test_null_columns_are_empty_or_nan() -> None:
    trace = Trace.from_rows(
        sites=[{"id": 0, "path": "a", "role": "param", "shape": [None, 3]}],
        steps=[{"step": 0}],
        stats=[{"step": 0, "site": 0}],
        data=[{"step": 0, "label_values": [1, None]}],
        events=[{"kind": "seed"}],
    )
    assert np.isnan(trace.steps.loss).all()
    assert np.isnan(trace.series("param", "mean")).all()
    assert not trace.steps.sampled.any()
    assert trace.sites[0].shape == (3,)
    assert trace.batches[0].label_values == (1,)
    assert trace.events[0].payload == {}


@pytest.mark.parametrize("payload", ["", "{", "[]", "null", "1", '"x"', "[" * 100_000, "{}x"])
def test_a_payload_that_is_no_object_is_empty(payload: str) -> None:
    trace = Trace.from_rows(events=[{"kind": "seed", "payload": payload}])
    assert trace.events[0].payload == {}


def test_statistics_of_one_site_are_one_column() -> None:
    trace = Trace.from_rows(sites=sites("a", "b"), stats=stats(3, 0, 1))
    site = trace.site("b", Role.ACTIVATION)
    assert trace.series(Role.ACTIVATION, "std", site).tolist() == [1.0, 1.0, 1.0]


def test_a_window_holds_the_last_steps_and_all_sites() -> None:
    trace = Trace.from_rows(sites=sites("a", "b"), steps=steps(10), stats=stats(10, 0, 1))
    window = trace.window(last=3)
    assert window.steps.step.tolist() == [7, 8, 9]
    assert window.sampled_steps.tolist() == [7, 8, 9]
    assert window.sites == trace.sites


def test_a_window_longer_than_the_run_is_the_run() -> None:
    trace = Trace.from_rows(steps=steps(3))
    assert trace.window(last=3) is trace
    assert len(trace.window(last=0).steps) == 0


def test_the_extent_of_a_run_is_read_from_the_ends_of_its_steps(tmp_path: Path) -> None:
    write_run(tmp_path, steps=steps(9), rows_per_batch=2)
    assert last_step(tmp_path) == (9, 2.0 / 9)


def test_the_extent_of_a_run_without_steps_is_zero(tmp_path: Path) -> None:
    assert last_step(write_run(tmp_path)) == (0, None)


def test_kept_tensors_come_back_in_their_shape_and_impossible_ones_are_left_out():
    row = {"step": 3, "role": "input", "path": "x", "shape": [9, 2], "dtype": "int64"}
    good = row | {"kept_shape": [2, 2], "values": [1.0, 2.0, None, 4.0]}
    bad = [
        row | {"kept_shape": [2, 3], "values": [1.0]},
        row | {"kept_shape": [-1, -1], "values": [1.0]},
        row | {"kept_shape": [2], "values": None},
    ]
    (tensor,) = Trace.from_rows(tensors=[good, *bad]).tensors
    assert (tensor.shape, tensor.stride, tensor.values.shape) == ((9, 2), 1, (2, 2))
    assert tensor.values[0].tolist() == [1.0, 2.0]
    assert math.isnan(tensor.values[1, 0])


def test_until_a_step_the_later_rows_are_gone_and_the_sites_are_kept() -> None:
    trace = Trace.from_rows(
        sites=[{"id": 0, "path": "fc", "role": "activation"}],
        steps=[{"step": step, "loss": 1.0} for step in range(10)],
        stats=[{"step": step, "site": 0, "std": 1.0} for step in range(10)],
    )
    then = trace.until(3)
    assert then.steps.step.tolist() == [0, 1, 2, 3]
    assert then.sampled_steps.tolist() == [0, 1, 2, 3]
    assert then.sites == trace.sites


def test_a_frozen_trace_does_not_grow_with_the_one_it_was_made_from(tmp_path: Path) -> None:
    folder = tmp_path / "rank-00000"
    folder.mkdir()
    Manifest(name="run").write(tmp_path)
    schema = arrow_schema("steps")
    with (folder / "steps-00000.arrows").open("wb", buffering=0) as file:
        writer = pa.ipc.new_stream(file, schema)
        writer.write_batch(pa.RecordBatch.from_pylist([{"step": 1}], schema=schema))
        trace = Trace.open(tmp_path)
        frozen = trace.frozen()
        writer.write_batch(pa.RecordBatch.from_pylist([{"step": 2}], schema=schema))
        trace.refresh()
    assert len(trace.steps) == 2
    assert len(frozen.steps) == 1
