"""Writes real run folders for the reading side's tests, with the recorder's own stream writer."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from nntrace.manifest import Manifest
from nntrace.recorder.streams import StreamWriter
from nntrace.schema import RANK_FOLDER, STREAMS, RunStatus

Rows = Iterable[Mapping[str, Any]]


def write_run(
    run: Path,
    *,
    rank: int = 0,
    rows_per_batch: int = 4,
    closed: bool = True,
    manifest: Mapping[str, Any] | None = None,
    **rows: Rows,
) -> Path:
    """Write a run folder with these rows, by stream; `closed` streams have an end mark."""
    folder = run / RANK_FOLDER.format(rank)
    folder.mkdir(parents=True, exist_ok=True)
    Manifest(**{"name": run.name, "status": RunStatus.FINISHED, **(manifest or {})}).write(run)
    for stream in STREAMS:
        writer = StreamWriter(folder, stream)
        writer.open()
        listed = list(rows.get(stream, ()))
        for start in range(0, len(listed), rows_per_batch):
            writer.append_rows(listed[start : start + rows_per_batch])
        writer.close()
        if not closed:
            segment = folder / f"{stream}-00000.arrows"
            segment.write_bytes(segment.read_bytes()[:-8])
    return run


def steps(count: int, **columns: Any) -> list[dict[str, Any]]:
    """Rows of `steps`, all sampled; a list as a column's value has one value per step."""
    return [
        {
            "step": step,
            "time_ns": step * 1_000_000,
            "duration_ns": 1_000_000,
            "loss": 2.0 / (step + 1),
            "lr": 0.1,
            "batch_size": 32,
            "phase": "train",
            "optimizer": "SGD",
            "sampled": True,
            **{k: v[step] if isinstance(v, list) else v for k, v in columns.items()},
        }
        for step in range(count)
    ]


def sites(*paths: str, role: str = "activation", first: int = 0) -> list[dict[str, Any]]:
    """Rows of `sites` with ids from `first` on."""
    return [
        {"id": first + index, "path": path, "role": role, "dtype": "float32", "shape": [8, 4]}
        for index, path in enumerate(paths)
    ]


def stats(count: int, *ids: int, **columns: Any) -> list[dict[str, Any]]:
    """Rows of `stats`: one per step and site, with mean = step and std = site."""
    return [
        {"step": step, "site": number, "n": 32, "mean": float(step), "std": float(number)} | columns
        for step in range(count)
        for number in ids
    ]


def small_run(run: Path, count: int = 6, **options: Any) -> Path:
    """A run of a few steps over two layers."""
    rows = {
        "sites": sites("fc1", "fc2"),
        "steps": steps(count),
        "stats": stats(count, 0, 1),
        "events": [{"step": 0, "time_ns": 1, "kind": "seed", "severity": "info", "payload": "{}"}],
    }
    return write_run(run, **{**rows, **options})


def faulty_run(path: Path) -> Path:
    """A run whose only input never varies, which rule DAT01 calls an error."""
    values = {"std": 0.0, "mean": 3.0, "min": 3.0, "max": 3.0, "example_std": 0.0}
    return small_run(
        path,
        sites=sites("input.0", role="input"),
        steps=steps(6),
        stats=stats(6, 0, **values),
    )


def segment(run: Path, stream: str, number: int = 0, rank: int = 0) -> Path:
    """The file of one segment."""
    return run / RANK_FOLDER.format(rank) / f"{stream}-{number:05d}.arrows"
