"""The runs of a folder, newest first, for the picker."""

import time
from dataclasses import dataclass
from pathlib import Path

from nntrace.errors import NntraceError
from nntrace.runs import list_runs
from nntrace.schema import RunStatus
from nntrace.trace import last_step


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run; `steps` and `loss` are None where its trace cannot be read."""

    path: Path
    name: str
    status: RunStatus
    started_ns: int
    steps: int | None
    loss: float | None
    command: str


def run_rows(folder: Path) -> tuple[RunRow, ...]:
    """The runs in the folder, newest first; empty when there is none."""
    try:
        runs, _ = list_runs(folder)
    except NntraceError:
        return ()
    return tuple(
        RunRow(
            run.path,
            run.manifest.name,
            run.manifest.current_status(run.path),
            run.manifest.started_ns,
            *_extent(run.path),
            " ".join(run.manifest.command),
        )
        for run in runs
    )


def run_paths(folder: Path) -> tuple[Path, ...]:
    """Only where they are, newest first: cheap enough to ask at a key."""
    try:
        return tuple(run.path for run in list_runs(folder)[0])
    except NntraceError:
        return ()


def age(started_ns: int, now_ns: int | None = None) -> str:
    """`12 s`, `5 min`, `3 h`, `2 d` ago."""
    seconds = max(0, ((time.time_ns() if now_ns is None else now_ns) - started_ns) // 10**9)
    for limit, size, unit in ((90, 1, "s"), (5400, 60, "min"), (129_600, 3600, "h")):
        if seconds < limit:
            return f"{seconds // size} {unit}"
    return f"{seconds // 86_400} d"


def _extent(path: Path) -> tuple[int | None, float | None]:
    try:
        return last_step(path)
    except (NntraceError, OSError):
        return None, None
