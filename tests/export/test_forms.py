import csv
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import duckdb
import pyarrow.dataset as ds
import pytest
from report.conftest import rich_run
from run_folders import small_run, steps

from nntrace.export import FORMS, load
from nntrace.export.scalars import scalars
from nntrace.extras import MissingExtraError
from nntrace.schema import STREAMS
from nntrace.trace import Trace


@pytest.fixture
def run(tmp_path: Path) -> Path:
    rich_run(tmp_path / "run")
    return rich_run(tmp_path / "run", rank=1)


def test_tensorboard_reads_back_scalars_and_histograms(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # TensorBoard's own switch to read without TensorFlow, whose import takes ten seconds.
    monkeypatch.setitem(sys.modules, "tensorboard.compat.notf", ModuleType("notf"))
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    load("tensorboard")(Trace.open(run), tmp_path / "out")
    for rank in (0, 1):
        (file,) = (tmp_path / "out" / f"rank-{rank:05d}").glob("events.out.tfevents*")
        events = EventAccumulator(str(file), size_guidance={"scalars": 0}).Reload()
        losses = events.Scalars("train/loss")
        assert [(e.step, e.value) for e in losses[:2]] == [(0, 2.0), (1, 1.0)]
        assert len(losses) == 80
        assert "activation/std/layer0" in events.Tags()["scalars"]
        histogram = events.Histograms("activation/layer0")[0].histogram_value
        limits = dict(zip(histogram.bucket_limit, histogram.bucket, strict=True))
        assert (limits[-0.5], limits[1.0], histogram.num) == (3, 4, 8)


def test_a_loss_that_became_nan_is_nan_in_the_export_and_a_missing_one_is_left_out(
    tmp_path: Path,
) -> None:
    losses = [1.0, None, float("nan"), float("inf")]
    rows = [row | {"loss": loss} for row, loss in zip(steps(4), losses, strict=True)]
    run = rich_run(tmp_path / "run", count=4, steps=rows)
    (found,) = (s for s in scalars(Trace.open(run)) if s.name == "train/loss")
    assert found.step.tolist() == [0, 2, 3]
    assert repr(found.value.tolist()) == "[1.0, nan, inf]"


def test_the_export_to_tensorboard_imports_no_tensorflow(run: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from nntrace.export import load;"
        "from nntrace.trace import Trace;"
        f"load('tensorboard')(Trace.open({str(run)!r}), Path({str(tmp_path / 'out')!r}));"
        "assert 'tensorflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_parquet_is_read_back_as_one_partitioned_table(run: Path, tmp_path: Path) -> None:
    load("parquet")(Trace.open(run), tmp_path / "out")
    load("parquet")(Trace.open(small_run(tmp_path / "b")), tmp_path / "out")
    for stream, columns in STREAMS.items():
        table = ds.dataset(tmp_path / "out" / stream, partitioning="hive").to_table()
        assert [column.name for column in columns] == table.column_names[: len(columns)]
    glob = f"{tmp_path}/out/steps/**/*.parquet"
    query = f"SELECT run, rank, count(*) FROM read_parquet('{glob}') GROUP BY ALL ORDER BY ALL"
    assert duckdb.sql(query).fetchall() == [("b", 0, 6), ("run", 0, 80), ("run", 1, 80)]


def test_csv_has_a_file_per_stream_with_lists_as_json(run: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    load("csv")(Trace.open(run), tmp_path / "out")
    with (tmp_path / "out" / "sites.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 20
    assert rows[0]["rank"] == "0"
    assert json.loads(rows[0]["shape"]) == [8, 4]
    assert rows[0]["range_low"] == ""


def test_without_the_package_of_a_form_no_folder_is_left(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(MissingExtraError):
        load("wandb")(Trace.open(run), tmp_path / "export")
    assert not (tmp_path / "export").exists()


def test_csv_makes_its_folder(run: Path, tmp_path: Path) -> None:
    load("csv")(Trace.open(run), tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b" / "steps.csv").is_file()


def test_scalars_leave_out_what_was_not_recorded_and_keep_what_is_infinite(
    tmp_path: Path,
) -> None:
    from run_folders import steps

    inf = float("inf")
    trace = Trace.open(small_run(tmp_path / "a", steps=steps(3, loss=[1.0, None, inf])))
    found = {scalar.name: scalar for scalar in scalars(trace)}
    assert found["train/loss"].step.tolist() == [0, 2]
    assert found["train/loss"].value.tolist() == [1.0, inf]
    assert "train/gradient_norm" not in found


def test_every_form_is_a_module() -> None:
    assert all(callable(load(form)) for form in FORMS)
