import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest

from nntrace.manifest import Manifest
from nntrace.recorder.streams import StreamWriter
from nntrace.schema import STREAMS, RunStatus
from nntrace.trace import Trace


def steps(first, count):
    return [
        {"step": step, "loss": float(step), "optimizer": "SGD"}
        for step in range(first, first + count)
    ]


def segments(folder, stream):
    return sorted(folder.glob(f"{stream}-*.arrows"))


def read(file):
    with pa.ipc.open_stream(str(file)) as reader:
        return reader.read_all()


@pytest.mark.parametrize("stream", STREAMS)
def test_an_empty_stream_has_its_schema_on_disk(tmp_path, stream):
    writer = StreamWriter(tmp_path, stream)
    writer.open()
    writer.close()
    (file,) = segments(tmp_path, stream)
    table = read(file)
    assert table.num_rows == 0
    assert table.column_names == [column.name for column in STREAMS[stream]]


def test_columns_left_out_are_null_and_not_a_number_is_null(tmp_path):
    writer = StreamWriter(tmp_path, "stats")
    writer.append_columns({"step": np.array([1, 2]), "mean": np.array([0.5, np.nan], np.float32)})
    writer.close()
    table = read(segments(tmp_path, "stats")[0])
    assert table["mean"].to_pylist() == [0.5, None]
    assert table["std"].null_count == 2


def test_short_columns_are_not_compressed_and_long_ones_are(tmp_path):
    sizes = []
    for name, labels in (("few", 3), ("many", 4000)):
        (folder := tmp_path / name).mkdir()
        writer = StreamWriter(folder, "data")
        row = {"step": 1, "label_values": list(range(labels)), "label_counts": [1] * labels}
        writer.append_rows([{"step": 0}])
        writer.append_rows([row])
        writer.close()
        assert read(segments(folder, "data")[0]).to_pylist()[1]["label_values"][-1] == labels - 1
        sizes.append(segments(folder, "data")[0].stat().st_size)
    assert sizes[1] - sizes[0] < 16 * 4000 / 3


def test_no_rows_make_no_batch(tmp_path):
    writer = StreamWriter(tmp_path, "steps")
    writer.append_rows([])
    writer.append_columns({"step": np.array([], dtype=np.int64)})
    writer.close()
    assert segments(tmp_path, "steps") == []


def test_a_full_segment_is_ended_and_the_next_one_begun(tmp_path):
    writer = StreamWriter(tmp_path, "steps", segment_bytes=2000)
    for first in range(0, 60, 10):
        writer.append_rows(steps(first, 10))
    writer.close()
    files = segments(tmp_path, "steps")
    assert [file.name for file in files] == [f"steps-{n:05d}.arrows" for n in range(len(files))]
    assert len(files) > 2
    numbers = [number for file in files for number in read(file)["step"].to_pylist()]
    assert numbers == list(range(60))
    assert all(file.read_bytes().endswith(b"\xff\xff\xff\xff\0\0\0\0") for file in files)


def test_a_batch_is_with_the_operating_system_before_the_stream_is_closed(tmp_path):
    writer = StreamWriter(tmp_path, "steps")
    writer.append_rows(steps(0, 3))
    with segments(tmp_path, "steps")[0].open("rb") as file:
        assert pa.ipc.open_stream(file).read_next_batch().num_rows == 3
    writer.close()


def test_every_prefix_of_a_run_is_a_run(tmp_path):
    run = tmp_path / "run"
    rank = run / "rank-00000"
    rank.mkdir(parents=True)
    Manifest("run", status=RunStatus.FINISHED).write(run)
    writer = StreamWriter(rank, "steps", segment_bytes=1500)
    for first in range(0, 12, 3):
        writer.append_rows(steps(first, 3))
    writer.close()
    whole = {file: file.read_bytes() for file in segments(rank, "steps")}
    assert len(whole) > 1
    for file in whole:
        file.unlink()
    found = []
    for file, content in whole.items():
        for cut in range(0, len(content) + 1, 17):
            file.write_bytes(content[:cut])
            found.append(len(Trace.open(run).steps))
        file.write_bytes(content)
    assert found == sorted(found)
    assert found[0] == 0
    assert set(found) == {0, 3, 6, 9, 12}
    assert len(Trace.open(run).steps) == 12


def test_writing_goes_on_in_a_folder_of_any_name(tmp_path):
    folder = tmp_path / "ein Ordner – 名前 %20 'quoted'"
    folder.mkdir()
    writer = StreamWriter(folder, "steps")
    writer.append_rows(steps(0, 2))
    writer.close()
    assert read(segments(folder, "steps")[0]).num_rows == 2


def test_many_steps_at_once_take_less_than_half_of_their_plain_size(tmp_path):
    rows = steps(0, 500)
    writer = StreamWriter(tmp_path, "steps")
    writer.append_rows(rows)
    writer.close()
    (file,) = segments(tmp_path, "steps")
    table = read(file)
    assert table.column("step").to_pylist() == [row["step"] for row in rows]
    assert file.stat().st_size < table.nbytes / 2


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lists a process's threads")
def test_compressing_starts_no_threads_in_the_program(tmp_path):
    program = """
import os, sys
from pathlib import Path
import numpy as np
from nntrace.recorder.streams import StreamWriter
writer = StreamWriter(Path(sys.argv[1]), "stats")
writer.append_columns({"step": np.arange(2)})
before = len(os.listdir("/proc/self/task"))
writer.append_columns({"step": np.arange(100_000), "mean": np.random.rand(100_000)})
print(len(os.listdir("/proc/self/task")) - before)
"""
    command = [sys.executable, "-c", program, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0"]
