"""Lists the runs of a folder on another machine, and watches them through the user's own ssh.

`nntrace runs --format json` lists them there; the one that is watched is a `RemoteRun`. The answer
is hostile input: only entries that a list of runs can hold are taken from it.
"""

import json
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final

from nntrace.errors import NntraceError
from nntrace.schema import RunStatus
from nntrace.text import printable
from nntrace.watch import Watch
from nntrace.watch.remote import SSH, UNATTENDED, RemoteRun
from nntrace.watch.run_lists import RunRow

if TYPE_CHECKING:
    from nntrace.watch import Diagnose

_LISTING_SECONDS: Final = 60.0


class RemoteRuns:
    """A run on another machine, and the other runs in its folder.

    Args:
        host: the host, as ssh takes it.
        nntrace: the nntrace command on that host.
        folder: an empty folder for the mirrors.
        diagnose, thresholds: as in `Watch`.
    """

    def __init__(
        self,
        host: str,
        nntrace: str,
        folder: Path,
        diagnose: "Diagnose",
        thresholds: Mapping[str, Mapping[str, Any]],
    ) -> None:
        self._host = host
        self._nntrace = nntrace
        self._folder = folder
        self._diagnose = diagnose
        self._thresholds = thresholds
        self._opened = 0
        self._run: RemoteRun | None = None

    def first(self, run: str) -> Watch:
        """Connect to RUN on the host, before a screen is open, as ssh may ask for a password.

        Raises:
            NntraceError: there is no connection, or no nntrace or run on the host; the message
                says what to do next.
        """
        return self._connect(run, attended=True)

    def close(self) -> None:
        """End the connection."""
        if self._run is not None:
            self._run.close()

    @property
    def where(self) -> str:
        """The folder of the runs, as `host:folder`."""
        return f"{self._host}:{self._runs_folder}"

    @property
    def refresh_seconds(self) -> float | None:
        """None: every listing takes a new connection."""
        return None

    def rows(self) -> Sequence[RunRow]:
        """The runs in the folder of the watched one, newest first.

        Raises:
            NntraceError: the host did not list its runs; the message says why.
        """
        words = ["runs", "--format", "json", "--", self._runs_folder]
        command = " ".join([self._nntrace, *map(shlex.quote, words)])
        try:
            listed = subprocess.run(
                [*SSH, *UNATTENDED, self._host, command],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_LISTING_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise NntraceError(f"{self._host} did not list its runs: {error}.") from error
        if listed.returncode:
            said = listed.stderr.decode("utf-8", "replace").strip().splitlines()
            reason = printable(said[-1]) if said else f"ssh ended with {listed.returncode}"
            raise NntraceError(f"{self._host} did not list its runs: {reason}")
        return tuple(self._row(row) for row in _parsed(listed.stdout) if _is_run(row))

    def places(self) -> Sequence[str]:
        """The places of the runs, newest first; costs as much as `rows`."""
        return tuple(row.place for row in self.rows())

    def watch(self, place: str) -> Watch:
        """Connect to the run at `host:path`; the connection to the run before it ends."""
        return self._connect(place.removeprefix(f"{self._host}:"), attended=False)

    def _connect(self, run: str, *, attended: bool) -> Watch:
        self._opened += 1
        folder = self._folder / str(self._opened)
        folder.mkdir()
        remote = RemoteRun(self._host, run, folder, self._nntrace)
        try:
            remote.connect(attended=attended)
        except NntraceError:
            remote.close()
            shutil.rmtree(folder, ignore_errors=True)
            raise
        before, self._run = self._run, remote
        if before is not None:
            before.close()
            shutil.rmtree(before.mirror.folder, ignore_errors=True)
        return Watch(
            folder,
            self._diagnose,
            self,
            problem=remote.problem,
            where=remote.where,
            thresholds=self._thresholds,
        )

    @property
    def _runs_folder(self) -> str:
        source = "" if self._run is None else self._run.mirror.source
        return str(PurePosixPath(source).parent)

    def _row(self, row: Mapping[str, Any]) -> RunRow:
        steps, loss = row.get("steps"), row.get("last_loss")
        return RunRow(
            place=f"{self._host}:{row['path']}",
            name=row["name"],
            status=RunStatus(row["status"]),
            started_ns=row["started_ns"],
            steps=steps if isinstance(steps, int) else None,
            loss=float(loss) if isinstance(loss, int | float) else None,
        )


def _parsed(answer: bytes) -> list[Any]:
    try:
        rows = json.loads(answer)
    except (ValueError, RecursionError) as error:
        raise NntraceError("the other side's `nntrace runs` did not answer with a list.") from error
    return rows if isinstance(rows, list) else []


def _is_run(row: Any) -> bool:
    return (
        isinstance(row, dict)
        and isinstance(row.get("name"), str)
        and isinstance(row.get("path"), str)
        and isinstance(row.get("started_ns"), int)
        and isinstance(row.get("status"), str)
        and row["status"] in set(RunStatus)
    )
