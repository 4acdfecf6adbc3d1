"""Writes run folders as a recorder does: Arrow streams and a manifest."""

import math
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from nntrace.arrow import arrow_schema
from nntrace.manifest import Manifest
from nntrace.schema import RunStatus

Row = dict[str, Any]


@pytest.fixture(autouse=True)
def colourful_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the terminal have colours, whichever terminal the tests run in."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLORTERM", "truecolor")


LAYERS = (("features.conv", "Conv2d"), ("features.act", "ReLU"), ("head", "Linear"))


def sites(layers: tuple[tuple[str, str], ...] = LAYERS) -> list[Row]:
    """Rows of `sites`: each layer's output and, for layers with weights, the sites of those."""
    rows: list[Row] = []
    for path, module_type in layers:
        common = {"module_type": module_type, "shape": [4], "dtype": "float32", "numel": 100}
        rows.append({"path": path, "role": "activation", "parent": "", **common})
        if module_type != "ReLU":
            for role in ("param", "param_grad", "update"):
                rows.append({"path": f"{path}.weight", "role": role, "parent": path, **common})
    return [{"id": number, **row} for number, row in enumerate(rows)]


def statistics(rows: list[Row], step: int, **changes: float) -> list[Row]:
    """One row per site: std 1, weights 0.1, updates 1e-4, all finite."""
    rms = {"activation": 1.0, "param": 0.1, "param_grad": 1e-3, "update": 1e-4}
    return [
        {
            "step": step,
            "site": row["id"],
            "n": 100,
            "std": rms[row["role"]],
            "rms": rms[row["role"]],
            "nonfinite_fraction": 0.0,
            **changes,
        }
        for row in rows
    ]


def step_rows(first: int, last: int, *, start_ns: int, loss: Callable[[int], float]) -> list[Row]:
    """Rows of `steps`, both ends included: ten steps a second, 2 % of the time spent tracing."""
    return [
        {
            "step": step,
            "time_ns": start_ns + step * 100_000_000,
            "duration_ns": 100_000_000,
            "loss": loss(step),
            "lr": 0.01,
            "phase": "train",
            "sampled": True,
            "overhead_ns": 2_000_000,
        }
        for step in range(first, last + 1)
    ]


class RunFolder:
    """A run folder; `train` adds steps to it and `end` completes it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rank = path / "rank-00000"
        self.rank.mkdir(parents=True)
        self.manifest = Manifest.begin(path.name, ("python", "train.py"), {})
        self.manifest.write(path)
        self.site_rows: list[Row] = []
        self.step = 0
        self._writers: dict[str, pa.ipc.RecordBatchStreamWriter] = {}
        self._files: list[Any] = []

    def append(self, stream: str, rows: list[Row], rank: int = 0) -> None:
        """Append one record batch to a stream."""
        schema = arrow_schema(stream)
        name = f"rank-{rank:05d}/{stream}-00000.arrows"
        if name not in self._writers:
            (self.path / name).parent.mkdir(exist_ok=True)
            file = (self.path / name).open("wb", buffering=0)
            self._files.append(file)
            options = pa.ipc.IpcWriteOptions(compression="zstd")
            self._writers[name] = pa.ipc.new_stream(file, schema, options=options)
        self._writers[name].write_batch(pa.RecordBatch.from_pylist(rows, schema=schema))

    def age(self, seconds: float) -> None:
        """Move the start of the run back by `seconds`."""
        started = self.manifest.started_ns - round(seconds * 1e9)
        self.manifest = replace(self.manifest, started_ns=started)
        self.manifest.write(self.path)

    def add_rank(self, rank: int, *, steps: int) -> None:
        """Add a rank that has made `steps` steps."""
        start = self.manifest.started_ns
        rows = step_rows(1, steps, start_ns=start, loss=lambda step: math.exp(-step / 50))
        self.append("steps", rows, rank)

    def train(
        self,
        number_of_steps: int,
        *,
        layers: tuple[tuple[str, str], ...] = LAYERS,
        loss: Callable[[int], float] = lambda step: math.exp(-step / 50),
        std: dict[str, float] | None = None,
        place: tuple[str, int] | None = None,
    ) -> None:
        """Write further steps, all sampled; `std` sets that of some layers' outputs, by path."""
        if not self.site_rows:
            self.site_rows = sites(layers)
            for row in self.site_rows:
                row["file"], row["line"] = place or (None, None)
            self.append("sites", self.site_rows)
        first, self.step = self.step + 1, self.step + number_of_steps
        start = self.manifest.started_ns
        self.append("steps", step_rows(first, self.step, start_ns=start, loss=loss))
        rows = []
        for step in range(first, self.step + 1):
            for site, row in zip(self.site_rows, statistics(self.site_rows, step), strict=True):
                if site["role"] == "activation" and site["path"] in (std or {}):
                    row["std"] = (std or {})[site["path"]]
                rows.append(row)
        self.append("stats", rows)

    def end(self, status: RunStatus = RunStatus.FINISHED, **changes: Any) -> None:
        """Write the last manifest."""
        ended = self.manifest.started_ns + self.step * 100_000_000
        self.manifest = replace(self.manifest, status=status, ended_ns=ended, **changes)
        self.manifest.write(self.path)

    def kill(self) -> None:
        """Leave a manifest with status `running` and the id of a process that has ended."""
        process = subprocess.Popen([sys.executable, "-c", ""])
        process.wait()
        self.manifest = replace(self.manifest, pid=process.pid)
        self.manifest.write(self.path)

    def tear(self, stream: str, missing_bytes: int) -> None:
        """Cut the end off a stream, as a kill between two writes does."""
        file = self.rank / f"{stream}-00000.arrows"
        file.write_bytes(file.read_bytes()[:-missing_bytes])

    def contents(self) -> dict[str, tuple[int, bytes]]:
        """The modification time in nanoseconds and the content of every file."""
        return {
            str(file.relative_to(self.path)): (file.stat().st_mtime_ns, file.read_bytes())
            for file in sorted(self.path.rglob("*"))
            if file.is_file()
        }

    def close(self) -> None:
        for file in self._files:
            file.close()


@pytest.fixture
def run_folder(tmp_path: Path) -> Iterator[RunFolder]:
    folder = RunFolder(tmp_path / f"digits-{time.strftime('%Y')}")
    yield folder
    folder.close()


class RunFolders:
    """Makes finished runs in one folder, each ten steps longer and begun later than the last."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.made: list[RunFolder] = []

    def __call__(self, *names: str) -> list[RunFolder]:
        for number, name in enumerate(names, start=1):
            run = RunFolder(self.folder / name)
            run.age(seconds=1000 - 100 * number)
            run.train(10 * number)
            run.end()
            self.made.append(run)
        return self.made


@pytest.fixture
def run_folders(tmp_path: Path) -> Iterator[RunFolders]:
    folders = RunFolders(tmp_path)
    yield folders
    for run in folders.made:
        run.close()
