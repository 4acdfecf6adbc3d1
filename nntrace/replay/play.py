"""Replays a capsule: starts the program it came from, where the adapter restores the step."""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from nntrace.errors import NntraceError
from nntrace.launch.command import Settings, resolve, traced_environment
from nntrace.replay.capsule import Capsule, check_tensors

OUTCOME: Final = "replay.json"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a replay.

    Attributes:
        origin: the payload of the origin found in the replay, if any.
        loss: the loss of the replayed step; None where unknown.
        notes: what could not be restored.
        run: the run folder of the replayed step; it exists only within `play`.
    """

    origin: Mapping[str, Any] | None
    loss: float | None
    notes: tuple[str, ...]
    run: Path


@contextmanager
def play(
    capsule: Capsule, command: tuple[str, ...], folder: Path, *, debugger: bool = False
) -> Iterator[Outcome | None]:
    """Run a command that replays a capsule; None when the program never reached the step.

    The program's output goes to stderr.

    Args:
        capsule: the capsule to replay.
        command: the command, as after `nntrace run`.
        folder: the working folder of the command.
        debugger: whether to stop at the line of the origin.

    Raises:
        NntraceError: the command cannot be run, or the capsule is damaged.
    """
    check_tensors(capsule)
    if not folder.is_dir():
        raise NntraceError(f"the folder it ran in, {folder}, is not here. Give --cwd DIR.")
    home = Path.cwd()
    with tempfile.TemporaryDirectory(prefix="nntrace-replay-") as scratch:
        run = Path(scratch) / "run"
        os.chdir(folder)  # `resolve` looks for scripts in the working folder
        try:
            words = resolve(command)
        finally:
            os.chdir(home)
        environment = traced_environment(
            Settings(str(run), command, replays=str(capsule.file.resolve()))
        )
        environment["NNTRACE_PID"] = str(os.getpid())
        environment["NNTRACE_REPLAY_RANK"] = str(capsule.rank)
        if debugger:
            environment["NNTRACE_REPLAY_PDB"] = "1"
        sys.stdout.flush()
        subprocess.run(words, env=environment, cwd=folder, stdout=sys.stderr, check=False)
        yield _outcome(run)


def changed_sources(capsule: Capsule) -> list[str]:
    """The program's files that have changed since the run, or are missing."""
    kept = capsule.content.get("sources")
    return [
        file
        for file, checksum in (kept.items() if isinstance(kept, dict) else ())
        if _checksum(Path(file)) != checksum
    ]


def _checksum(file: Path) -> str | None:
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError:
        return None


def _outcome(run: Path) -> Outcome | None:
    try:
        told: dict[str, Any] = json.loads((run / OUTCOME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    origin, loss = told.get("origin"), str(told.get("loss"))
    return Outcome(
        origin if isinstance(origin, dict) else None,
        None if loss == "None" else float(loss),
        tuple(str(note) for note in told.get("notes", ())),
        run,
    )
