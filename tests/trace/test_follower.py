import errno
import io
import itertools
import os
from pathlib import Path

import pyarrow as pa
import pytest
from run_folders import segment, small_run, stats, steps, write_run

from nntrace.arrow import arrow_schema
from nntrace.errors import DamagedTraceError, NntraceError, SchemaVersionError
from nntrace.recorder.streams import StreamWriter
from nntrace.trace.follower import StreamFollower
from nntrace.trace.messages import message_length


def follow(run: Path, stream: str = "steps") -> StreamFollower:
    return StreamFollower(run / "rank-00000", stream)


def read_steps(follower: StreamFollower) -> list[int]:
    return [step for batch in follower.read() for step in batch["step"].to_pylist()]


def write_stream(run: Path, schema: pa.Schema, batches: list[pa.RecordBatch]) -> None:
    path = segment(run, "steps")
    path.parent.mkdir(parents=True, exist_ok=True)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)


def test_a_folder_without_the_stream_has_no_rows(tmp_path: Path) -> None:
    assert follow(tmp_path).read() == []


def test_an_empty_file_has_no_rows_yet(tmp_path: Path) -> None:
    small_run(tmp_path)
    segment(tmp_path, "steps").write_bytes(b"")
    follower = follow(tmp_path)
    assert follower.read() == []
    assert not follower.torn


def test_a_second_read_gives_only_what_was_written_since(tmp_path: Path) -> None:
    folder = tmp_path / "rank-00000"
    folder.mkdir()
    writer = StreamWriter(folder, "steps")
    follower = follow(tmp_path)
    writer.append_rows(steps(2))
    assert read_steps(follower) == [0, 1]
    assert read_steps(follower) == []
    writer.append_rows(steps(4)[2:])
    assert read_steps(follower) == [2, 3]
    writer.close()
    assert read_steps(follower) == []


def test_a_torn_tail_is_read_once_it_is_complete(tmp_path: Path) -> None:
    small_run(tmp_path, rows_per_batch=3)
    path = segment(tmp_path, "steps")
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    follower = follow(tmp_path)
    assert read_steps(follower) == [0, 1, 2]
    assert follower.torn
    path.write_bytes(whole)
    assert read_steps(follower) == [3, 4, 5]
    assert not follower.torn


def test_segments_are_read_one_after_the_other(tmp_path: Path) -> None:
    folder = tmp_path / "rank-00000"
    folder.mkdir()
    writer = StreamWriter(folder, "steps", segment_bytes=1)
    follower = follow(tmp_path)
    rows = steps(6)
    for row in rows[:3]:
        writer.append_rows([row])
    assert read_steps(follower) == [0, 1, 2]
    for row in rows[3:]:
        writer.append_rows([row])
    assert read_steps(follower) == [3, 4, 5]
    assert segment(tmp_path, "steps", 5).exists()


def segmented(run: Path) -> Path:
    folder = run / "rank-00000"
    folder.mkdir()
    writer = StreamWriter(folder, "steps", segment_bytes=1)
    for row in steps(3):
        writer.append_rows([row])
    return run


def test_a_missing_segment_is_damage(tmp_path: Path) -> None:
    segment(segmented(tmp_path), "steps", 1).unlink()
    with pytest.raises(DamagedTraceError, match="steps-00001"):
        follow(tmp_path).read()


def test_a_torn_segment_before_another_is_damage(tmp_path: Path) -> None:
    path = segment(segmented(tmp_path), "steps", 0)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DamagedTraceError, match=r"steps-00000.*another follows"):
        follow(tmp_path).read()


def test_damage_is_reported_again_by_the_next_read(tmp_path: Path) -> None:
    small_run(tmp_path)
    path = segment(tmp_path, "steps")
    content = bytearray(path.read_bytes())
    first_batch = message_length(io.BytesIO(content), len(content))
    content[first_batch or 0] ^= 0xFF
    path.write_bytes(content)
    follower = follow(tmp_path)
    for _ in range(2):
        with pytest.raises(DamagedTraceError):
            follower.read()


def test_the_message_on_damage_is_one_line_with_file_byte_and_next_step(tmp_path: Path) -> None:
    small_run(tmp_path)
    segment(tmp_path, "steps").write_bytes(b"not arrow at all")
    with pytest.raises(DamagedTraceError) as caught:
        follow(tmp_path).read()
    message = str(caught.value)
    assert "\n" not in message
    assert "steps-00000.arrows is damaged at byte 0" in message
    assert "nntrace runs" in message


def test_a_file_that_may_not_be_read_is_not_called_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_run(tmp_path)

    def forbidden(*args: object, **options: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "open", forbidden)
    with pytest.raises(DamagedTraceError, match=r"arrows cannot be read: Permission denied\.$"):
        follow(tmp_path).read()


def test_bytes_after_the_end_mark_are_damage(tmp_path: Path) -> None:
    small_run(tmp_path)
    path = segment(tmp_path, "steps")
    path.write_bytes(path.read_bytes() + b"more")
    with pytest.raises(DamagedTraceError, match="follow the end"):
        follow(tmp_path).read()


def test_a_folder_in_place_of_a_segment_is_damage(tmp_path: Path) -> None:
    small_run(tmp_path)
    segment(tmp_path, "steps").unlink()
    segment(tmp_path, "steps").mkdir()
    with pytest.raises(DamagedTraceError):
        follow(tmp_path).read()


def test_an_arrow_stream_of_other_columns_is_not_ours(tmp_path: Path) -> None:
    write_stream(tmp_path, pa.schema([("colour", pa.string())]), [])
    with pytest.raises(DamagedTraceError):
        follow(tmp_path).read()


def test_an_older_minor_format_is_filled_with_nulls(tmp_path: Path) -> None:
    schema = pa.schema([("step", pa.int64()), ("loss", pa.float64())])
    write_stream(tmp_path, schema, [pa.record_batch([[0, 1], [2.0, 1.0]], schema=schema)])
    (batch,) = follow(tmp_path).read()
    assert batch.schema.equals(arrow_schema("steps"))
    assert batch["loss"].to_pylist() == [2.0, 1.0]
    assert batch["lr"].to_pylist() == [None, None]


def test_columns_of_a_newer_minor_format_are_left_out(tmp_path: Path) -> None:
    schema = arrow_schema("steps").append(pa.field("energy", pa.float64()))
    row = {"step": 3, "energy": 1.5}
    write_stream(tmp_path, schema, [pa.RecordBatch.from_pylist([row], schema=schema)])
    (batch,) = follow(tmp_path).read()
    assert batch["step"].to_pylist() == [3]
    assert "energy" not in batch.schema.names


def test_a_newer_major_format_is_refused(tmp_path: Path) -> None:
    metadata = {"nntrace.schema": "2", "stream": "steps"}
    write_stream(tmp_path, arrow_schema("steps").with_metadata(metadata), [])
    with pytest.raises(SchemaVersionError, match=r"format 2.*pip install"):
        follow(tmp_path).read()


def test_a_column_of_another_type_is_damage(tmp_path: Path) -> None:
    schema = pa.schema([("step", pa.string())])
    write_stream(tmp_path, schema, [pa.record_batch([["first"]], schema=schema)])
    with pytest.raises(DamagedTraceError):
        follow(tmp_path).read()


def test_a_column_given_twice_is_damage(tmp_path: Path) -> None:
    schema = pa.schema([("step", pa.int64()), ("step", pa.int64())])
    write_stream(tmp_path, schema, [pa.record_batch([[1], [2]], schema=schema)])
    with pytest.raises(DamagedTraceError):
        follow(tmp_path).read()


def test_a_batch_of_absurd_length_costs_no_memory(tmp_path: Path) -> None:
    schema = pa.schema([("step", pa.null())])
    write_stream(tmp_path, schema, [pa.record_batch([pa.nulls(123457)], schema=schema)])
    path = segment(tmp_path, "steps")
    length, absurd = (n.to_bytes(8, "little") for n in (123457, 1 << 40))
    path.write_bytes(path.read_bytes().replace(length, absurd))
    with pytest.raises(DamagedTraceError):
        follow(tmp_path).read()


def test_rows_without_a_key_are_left_out(tmp_path: Path) -> None:
    write_run(tmp_path, stats=[*stats(1, 0), {"step": 1}, {"site": 1}, {}])
    (batch,) = follow(tmp_path, "stats").read()
    assert batch.num_rows == 1


def test_the_ends_of_a_stream_are_its_first_and_last_batch(tmp_path: Path) -> None:
    write_run(tmp_path, steps=steps(9), rows_per_batch=2)
    ends = follow(tmp_path).read_some(2)
    assert [batch["step"].to_pylist() for batch in ends] == [[0, 1], [8]]


def test_some_of_a_stream_are_batches_from_its_first_to_its_last(tmp_path: Path) -> None:
    write_run(tmp_path, steps=steps(100), rows_per_batch=1)
    some = [batch["step"][0].as_py() for batch in follow(tmp_path).read_some(12)]
    assert (len(some), some[0], some[-1]) == (12, 0, 99)
    assert max(b - a for a, b in itertools.pairwise(some)) <= 9


@pytest.mark.parametrize(("rows", "first"), [(1, 8), (2, 6), (3, 6), (99, 0)])
def test_the_last_rows_of_a_stream_are_read_without_the_others(tmp_path, rows, first) -> None:
    write_run(tmp_path, steps=steps(9), rows_per_batch=2)
    follower = follow(tmp_path)
    last = [step for batch in follower.read_last(rows) for step in batch["step"].to_pylist()]
    assert last == list(range(first, 9))
    assert follower.read() == []


def test_the_last_rows_may_stand_in_several_segments(tmp_path: Path) -> None:
    run = segmented(tmp_path)
    everything = read_steps(follow(run))
    last = [step for batch in follow(run).read_last(10**6) for step in batch["step"].to_pylist()]
    some = [step for batch in follow(run).read_some(10**6) for step in batch["step"].to_pylist()]
    assert everything == last == some


def test_only_the_columns_asked_for_are_read(tmp_path: Path) -> None:
    write_run(tmp_path, steps=steps(4))
    (whole,), (part,) = (follow(tmp_path).read_some(2, columns) for columns in (None, ["loss"]))
    assert part.select(["step", "loss"]).equals(whole.select(["step", "loss"]))
    assert part.schema.equals(whole.schema)
    assert part["duration_ns"].null_count == 4


@pytest.mark.parametrize("stream", ["sites", "steps", "stats", "events"])
def test_a_cut_anywhere_leaves_a_prefix_or_nothing(tmp_path: Path, stream: str) -> None:
    small_run(tmp_path, count=2, rows_per_batch=1)
    path = segment(tmp_path, stream)
    whole = path.read_bytes()
    rows = pa.Table.from_batches(follow(tmp_path, stream).read()).to_pylist()
    seen = set()
    for size in range(len(whole), -1, -5):
        os.truncate(path, size)
        batches = follow(tmp_path, stream).read()
        read = [row for batch in batches for row in batch.to_pylist()]
        assert read == rows[: len(read)]
        seen.add(len(read))
    assert seen == set(range(len(rows) + 1))


@pytest.mark.parametrize("stream", ["sites", "steps", "stats", "events"])
def test_a_flipped_byte_is_damage_or_a_valid_read(tmp_path: Path, stream: str) -> None:
    small_run(tmp_path, count=2)
    path = segment(tmp_path, stream)
    whole = path.read_bytes()
    damaged = 0
    with path.open("r+b", buffering=0) as file:
        for position in range(0, len(whole), 3):
            byte = whole[position]
            os.pwrite(file.fileno(), bytes([byte ^ 0xFF]), position)
            try:
                for batch in follow(tmp_path, stream).read():
                    batch.validate(full=True)
            except NntraceError:
                damaged += 1
            os.pwrite(file.fileno(), bytes([byte]), position)
    assert damaged > len(whole) / 30
