import os
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from report.conftest import rich_run
from run_folders import small_run, stats

from nntrace.errors import DamagedTraceError, NntraceError
from nntrace.export.parquet import export
from nntrace.keep import pack
from nntrace.schema import STREAMS
from nntrace.trace import Trace, last_step


def test_a_packed_run_reads_as_before_and_has_no_segments(tmp_path: Path) -> None:
    run = rich_run(tmp_path / "run")
    before = Trace.open(run)
    packed = pack(run, lossless=True)
    after = Trace.open(run)
    assert not list(run.rglob("*.arrows"))
    assert not list(run.rglob("*.part"))
    assert packed.after == sum(file.stat().st_size for file in run.rglob("*") if file.is_file())
    for stream in STREAMS:
        assert before.table(stream).equals(after.table(stream)), stream
    np.testing.assert_array_equal(
        before.series("activation", "mean"), after.series("activation", "mean")
    )
    assert last_step(run) == (80, before.steps.loss[-1])
    assert after.refresh() is False


def test_a_run_in_a_folder_whose_name_is_not_utf_8_is_written_read_packed_and_exported(
    tmp_path: Path,
) -> None:
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    run = small_run(folder / "run")
    before = Trace.open(run).table("stats")
    pack(run, lossless=True)
    after = Trace.open(run)
    assert after.table("stats").equals(before)
    assert export(after, folder / "exported") > len(before)


def test_also_a_run_of_a_few_rows_gets_smaller(tmp_path: Path) -> None:
    assert pack(small_run(tmp_path / "run", count=2)).factor > 1


def test_columns_that_hold_nothing_are_left_out_and_read_as_nulls(tmp_path: Path) -> None:
    run = small_run(tmp_path / "run")
    pack(run)
    written = pq.read_schema(run / "rank-00000" / "stats.parquet").names
    assert "mean" in written
    assert "kurtosis" not in written
    assert Trace.open(run).table("stats")["kurtosis"].null_count == len(
        Trace.open(run).table("stats")
    )


def test_a_stream_without_rows_has_no_file_and_reads_as_empty(tmp_path: Path) -> None:
    run = small_run(tmp_path / "run", scalars=[])
    pack(run)
    assert not (run / "rank-00000" / "scalars.parquet").exists()
    assert len(Trace.open(run).table("scalars")) == 0


def test_kept_steps_stay_and_do_not_count_as_rows(tmp_path: Path) -> None:
    run = small_run(tmp_path / "run")
    capsule = run / "rank-00000" / "capsules" / "capsule-000.safetensors"
    capsule.parent.mkdir()
    capsule.write_bytes(bytes(100_000))
    packed = pack(run)
    assert capsule.stat().st_size == 100_000
    assert packed.after > 100_000 > packed.rows_before > packed.rows_after


def test_values_that_repeat_are_kept_in_a_dictionary(tmp_path: Path) -> None:
    shades = np.random.default_rng(0).integers(64, size=5000) / 63
    image = {"step": 0, "role": "input", "path": "x", "values": shades.tolist()}
    run = small_run(tmp_path / "run", tensors=[image])
    pack(run)
    assert (run / "rank-00000" / "tensors.parquet").stat().st_size < 5500
    assert Trace.open(run).table("tensors")["values"].to_pylist() == [shades.tolist()]


def test_a_run_recorded_exactly_keeps_every_digit(tmp_path: Path) -> None:
    rows = [row | {"mean": 1.2345678} for row in stats(6, 1)]
    for exact in (True, False):
        run = small_run(tmp_path / str(exact), stats=rows, manifest={"config": {"exact": exact}})
        before = Trace.open(run).table("stats")
        pack(run)
        assert Trace.open(run).table("stats").equals(before) == exact


def test_a_run_is_packed_once(tmp_path: Path) -> None:
    run = small_run(tmp_path / "run")
    pack(run)
    with pytest.raises(NntraceError, match="packed already"):
        pack(run)


def test_a_running_run_is_not_packed(tmp_path: Path) -> None:
    import os
    import socket

    running = {"status": "running", "pid": os.getpid(), "host": socket.gethostname()}
    run = small_run(tmp_path / "run", manifest=running)
    with pytest.raises(NntraceError, match="still running"):
        pack(run)
    assert list(run.rglob("*.arrows"))


@pytest.mark.parametrize("content", [b"", b"PAR1", b"?" * 500])
def test_a_damaged_packed_stream_is_one_clear_error(tmp_path: Path, content: bytes) -> None:
    run = small_run(tmp_path / "run")
    pack(run)
    (run / "rank-00000" / "stats.parquet").write_bytes(content)
    with pytest.raises(DamagedTraceError, match=r"stats\.parquet is damaged"):
        Trace.open(run)


def test_a_packed_stream_cut_or_changed_anywhere_never_crashes_the_reader(tmp_path: Path) -> None:
    run = small_run(tmp_path / "run")
    pack(run)
    file = run / "rank-00000" / "steps.parquet"
    whole = file.read_bytes()
    generator = np.random.default_rng(0)
    for _ in range(150):
        changed = bytearray(
            whole[: generator.integers(len(whole)) if generator.random() < 0.3 else None]
        )
        for place in generator.integers(max(1, len(changed)), size=3):
            if changed:
                changed[place % len(changed)] = generator.integers(256)
        file.write_bytes(bytes(changed))
        try:
            len(Trace.open(run).steps)
        except NntraceError:
            continue
