"""`manifest.json`: what a run is, who writes it and how it ended.

A manifest is written whole to a temporary file and renamed: a reader never sees half of one.
"""

import errno
import json
import os
import socket
import sys
import time
import uuid
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Self

from nntrace.errors import NotARunError, SchemaVersionError
from nntrace.schema import MANIFEST, SCHEMA_VERSION, RunStatus

_STALE_SECONDS = 60.0
_LARGEST_NUMBER = 1e300  # rejects NaN and infinities, which Python's JSON reader accepts


@dataclass(frozen=True, slots=True)
class Manifest:
    """The facts of one run.

    Times are nanoseconds since the epoch; `overhead` is a fraction of elapsed time.
    """

    name: str
    schema: int = SCHEMA_VERSION
    command: tuple[str, ...] = ()
    cwd: str = ""
    git_commit: str | None = None
    versions: dict[str, str] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    started_ns: int = 0
    ended_ns: int | None = None
    status: str = RunStatus.RUNNING
    error: str | None = None
    overhead: float | None = None
    overhead_seconds: float | None = None
    pid: int = 0
    host: str = ""

    @classmethod
    def begin(cls, name: str, command: tuple[str, ...], config: dict[str, Any]) -> Self:
        """The manifest of a run that starts now in this process."""
        return cls(
            name=name,
            command=command,
            cwd=os.getcwd(),
            versions={"python": sys.version.split()[0]},
            config=config,
            started_ns=time.time_ns(),
            pid=os.getpid(),
            host=socket.gethostname(),
        )

    @classmethod
    def read(cls, run: Path) -> Self:
        """Read the manifest of a run folder; a value of the wrong type counts as missing.

        Raises:
            NotARunError: there is no manifest, or it is not one of nntrace.
            SchemaVersionError: it was written by a newer, incompatible nntrace.
        """
        path = run / MANIFEST
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise NotARunError(
                f"{run} is not a run folder: it has no {MANIFEST}. `nntrace runs` lists the runs."
            ) from error
        except (OSError, ValueError, RecursionError) as error:
            raise NotARunError(f"{path} is not a readable manifest: {error}.") from error
        if not isinstance(content, dict) or not _is(content.get("schema"), int):
            raise NotARunError(f"{path} is not an nntrace manifest: it names no schema version.")
        if content["schema"] > SCHEMA_VERSION:
            raise SchemaVersionError(
                f"{run} was written in trace format {content['schema']}, this nntrace reads up to "
                f"{SCHEMA_VERSION}. Upgrade nntrace: pip install --upgrade nntrace."
            )
        known = {
            field: content[field]
            for field, kind in _KINDS.items()
            if field in content and _is(content[field], kind)
        }
        manifest = cls(**{"name": run.name, **known})
        return replace(
            manifest,
            command=tuple(str(word) for word in manifest.command),
            versions={name: str(version) for name, version in manifest.versions.items()},
        )

    def write(self, run: Path) -> None:
        """Replace the folder's manifest atomically.

        On a full disk it is overwritten in place: the disk block it already has is enough.
        """
        temporary = _beside(run)
        content = json.dumps(asdict(self), indent=2)
        try:
            temporary.write_text(content, encoding="utf-8")
            temporary.replace(run / MANIFEST)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            with (run / MANIFEST).open("r+b", buffering=0) as file:
                file.write(content.encode())
                file.truncate()

    def create(self, run: Path) -> bool:
        """Write the folder's first manifest; False when another rank has already done so."""
        temporary = _beside(run)
        temporary.write_text(json.dumps(asdict(self), indent=2), encoding="utf-8")
        try:
            os.link(temporary, run / MANIFEST)
        except FileExistsError:
            return False
        except OSError:  # a file system without hard links
            if (run / MANIFEST).exists():
                return False
            self.write(run)
        finally:
            temporary.unlink(missing_ok=True)
        return True

    def current_status(self, run: Path) -> RunStatus:
        """The status now: a run that ended without writing its status counts as killed."""
        try:
            written = RunStatus(self.status)
        except ValueError:
            return RunStatus.KILLED
        if written is not RunStatus.RUNNING or self._is_alive(run):
            return written
        return RunStatus.KILLED

    def lost_sight(self, status: RunStatus) -> bool:
        """Whether tracing stopped before a run of that status did: on a full disk, by an error.

        The manifest's error is then that of tracing; the program itself has none.
        """
        return bool(self.error) and status in (RunStatus.RUNNING, RunStatus.FINISHED)

    def _is_alive(self, run: Path) -> bool:
        return process_is_alive(self.pid, self.host, run)


def _beside(run: Path) -> Path:
    """A unique temporary name: ranks in containers may share a pid, recorders share a process."""
    return run / f".{MANIFEST}.{uuid.uuid4().hex}"


def process_is_alive(pid: object, host: object, folder: Path) -> bool:
    """Whether the process that writes into a folder is still running.

    A process of another machine counts as running while its streams were written to within the last
    minute.
    """
    if host == socket.gethostname() and isinstance(pid, int) and pid > 0:
        return _process_runs(pid)
    newest = max((_modified(file) for file in folder.rglob("*.arrows")), default=0.0)
    return time.time() - newest < _STALE_SECONDS


# The type each value must have; a value of another type counts as missing.
_KINDS: Final[dict[str, type]] = {
    "name": str,
    "schema": int,
    "command": list,
    "cwd": str,
    "git_commit": str,
    "versions": dict,
    "config": dict,
    "started_ns": int,
    "ended_ns": int,
    "status": str,
    "error": str,
    "overhead": float,
    "overhead_seconds": float,
    "pid": int,
    "host": str,
}


def _is(value: Any, kind: type) -> bool:
    if isinstance(value, bool):
        return False
    if kind is int:
        return isinstance(value, int) and abs(value) < 1 << 63
    if kind is float:
        return isinstance(value, int | float) and abs(value) < _LARGEST_NUMBER
    return isinstance(value, kind)


def _modified(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0


def _process_runs(pid: int) -> bool:
    if sys.platform == "win32":  # there os.kill(pid, 0) would end the process
        return True
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    try:  # a zombie has ended, though its parent has not waited for it yet
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (OSError, IndexError):
        return True
