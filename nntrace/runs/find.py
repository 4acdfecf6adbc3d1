"""Finds runs: resolves RUN of the command line, and lists the runs of a folder.

RUN is a path, the name of a run in the runs folder, with or without its time, `latest`, or a URL.
A folder that `find_run` returns has a readable manifest and, unless the run is still going, at
least the beginning of a trace.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nntrace.config import load_config
from nntrace.errors import NntraceError, NotARunError, suggestion
from nntrace.experiment import BASELINE
from nntrace.manifest import Manifest
from nntrace.runs.naming import has_label, label_of
from nntrace.runs.urls import fetch, is_url
from nntrace.schema import MANIFEST, RunStatus

LATEST = "latest"
_POLL_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class RunFolder:
    """A run folder and its manifest."""

    path: Path
    manifest: Manifest


def list_runs(folder: Path) -> tuple[list[RunFolder], list[str]]:
    """The runs in a folder, newest first, and a message for each that cannot be read.

    Raises:
        NotARunError: the folder does not exist or is a file.
    """
    if not folder.is_dir():
        raise NotARunError(_no_runs_folder(folder))
    runs: list[RunFolder] = []
    unreadable: list[str] = []
    for path in sorted(folder.iterdir()):
        try:
            if (path / MANIFEST).exists():
                runs.append(RunFolder(path, Manifest.read(path)))
        except NntraceError as error:
            unreadable.append(str(error))
        except PermissionError as error:  # another user's, in a folder that several share
            unreadable.append(f"{path} cannot be read: {error.strerror}.")
    runs.sort(key=lambda run: (run.manifest.started_ns, run.path.name), reverse=True)
    return runs, unreadable


def list_checks(folder: Path) -> list[RunFolder]:
    """The baselines of the checks in a folder, newest first; each lies in its check's folder."""
    baselines: list[RunFolder] = []
    for path in folder.iterdir() if folder.is_dir() else ():
        try:
            manifest = Manifest.read(path / BASELINE)
        except NntraceError:
            continue
        if manifest.config.get("experiment"):
            baselines.append(RunFolder(path / BASELINE, manifest))
    return sorted(baselines, key=lambda run: (run.manifest.started_ns, run.path), reverse=True)


def find_run(name: str | Path | None = None, folder: Path | None = None) -> Path:
    """The run folder that RUN stands for: a path, a name in the runs folder, or the latest run.

    Args:
        name: RUN as the user typed it. None and `latest` stand for the run that started last; a
            name given to `nntrace run --name`, or a script's name, for the last run of that name.
        folder: the runs folder, by default the configured one.

    Raises:
        NotARunError: there is nothing, or not a run; the message says what to do next.
        SchemaVersionError: the run was written by a newer nntrace.
    """
    folder = load_config().runs_folder if folder is None else folder
    if name is None or name == LATEST:
        return _latest(folder)
    if is_url(str(name)):
        return _checked(fetch(str(name)))
    given, named = Path(name), folder / name
    for path in (given, named):
        if (path / MANIFEST).exists():
            return _checked(path)
    for path in (given, named):
        if path.exists():
            raise NotARunError(_not_a_run(path))
    if folder.is_dir() and given.name == str(name):
        for run in list_runs(folder)[0]:
            if has_label(run.path.name, str(name)):
                return _checked(run.path)
    raise NotARunError(f"there is no run {str(name)!r}.{_next_step(str(name), folder)}")


def wait_for_run(folder: Path | None = None, *, waiting: Callable[[Path], object]) -> Path:
    """The latest run of the runs folder; while there is none, wait for the first.

    Args:
        folder: the runs folder, by default the configured one.
        waiting: called once, with the folder, when there is none yet.

    Raises:
        NotARunError: the folder is a file.
    """
    folder = load_config().runs_folder if folder is None else folder
    said = False
    while True:
        try:
            return _latest(folder)
        except NotARunError:
            if folder.exists() and not folder.is_dir():
                raise
        if not said:
            waiting(folder)
            said = True
        time.sleep(_POLL_SECONDS)


def has_streams(run: Path) -> bool:
    """Whether any rank has begun a stream."""
    kinds = ("rank-*/*.arrows", "rank-*/*.parquet")
    return any(next(run.glob(kind), None) is not None for kind in kinds)


def _latest(folder: Path) -> Path:
    runs, unreadable = list_runs(folder)
    for run in runs:
        if has_streams(run.path) or run.manifest.current_status(run.path) is RunStatus.RUNNING:
            return run.path
    if runs:
        return _checked(runs[0].path)
    if unreadable:
        raise NotARunError(unreadable[-1])
    raise NotARunError(f"there is no run in {folder}. Record one: `nntrace run train.py`.")


def _checked(run: Path) -> Path:
    manifest = Manifest.read(run)
    status = manifest.current_status(run)
    if not has_streams(run) and status is not RunStatus.RUNNING:
        because = f": {manifest.error}" if manifest.error else ""
        raise NotARunError(
            f"{run} holds no records: the run is {status.value} and nothing was "
            f"traced in it{because}. `nntrace runs` lists the runs."
        )
    return run


def _not_a_run(path: Path) -> str:
    holder = next((p for p in path.absolute().parents if (p / MANIFEST).exists()), None)
    if holder is not None:
        return f"{path} is inside a run, not a run itself. Give the run folder: {holder}"
    if not path.is_dir():
        return f"{path} is a file, not a run folder. `nntrace runs` lists the runs."
    if next(path.glob(f"*/{MANIFEST}"), None) is not None:
        return f"{path} is a folder of runs, not a run. `nntrace runs {path}` lists them."
    state = "has no manifest.json" if any(path.iterdir()) else "is empty"
    return f"{path} is not a run folder: it {state}. `nntrace runs` lists the runs."


def _next_step(name: str, folder: Path) -> str:
    if not folder.is_dir():
        return (
            f" Neither is there a runs folder {folder}: record a run with `nntrace run train.py`."
        )
    names = [run.path.name for run in list_runs(folder)[0]]
    known = [*names, *dict.fromkeys(map(label_of, names))]
    return suggestion(name, known) or " `nntrace runs` lists the runs."


def _no_runs_folder(folder: Path) -> str:
    if folder.exists():
        return f"{folder} is a file, not a folder of runs."
    return f"there is no runs folder {folder}. Record a run: `nntrace run train.py`."
