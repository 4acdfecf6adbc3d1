"""The runs that a monitor can switch between: those of a folder here or on another machine."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from nntrace.errors import NntraceError
from nntrace.schema import RunStatus

if TYPE_CHECKING:
    from nntrace.runs.find import RunFolder
    from nntrace.watch import Diagnose, Watch


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run in a list; `steps` and `loss` are None where its trace cannot be read.

    Attributes:
        place: the place of the run, as `Watch.place` names it.
    """

    place: str
    name: str
    status: RunStatus
    started_ns: int
    steps: int | None
    loss: float | None


class RunList(Protocol):
    """Runs that can be watched one at a time. Its methods may take long."""

    @property
    def where(self) -> str:
        """The folder of the runs, as the user would name it."""

    @property
    def refresh_seconds(self) -> float | None:
        """The seconds between two listings while the list is shown; None to list only once."""

    def rows(self) -> Sequence[RunRow]:
        """The runs, newest first.

        Raises:
            NntraceError: they cannot be listed now.
        """

    def places(self) -> Sequence[str]:
        """The places alone, newest first, which may be cheaper than `rows`.

        Raises:
            NntraceError: they cannot be listed now.
        """

    def watch(self, place: str) -> "Watch":
        """The run at a place, to be shown; the watch of the run before it may end.

        Raises:
            NntraceError: it cannot be reached.
        """


@dataclass(frozen=True, slots=True)
class LocalRuns:
    """The runs of a folder on this machine."""

    folder: Path
    diagnose: "Diagnose"
    thresholds: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def where(self) -> str:
        """The path of the folder."""
        return str(self.folder)

    @property
    def refresh_seconds(self) -> float | None:
        """A short interval: reading the ends of some files costs little."""
        return 5.0

    def rows(self) -> Sequence[RunRow]:
        """The runs, newest first; empty where there is no folder."""
        return tuple(
            RunRow(
                str(run.path),
                run.path.name,
                run.manifest.current_status(run.path),
                run.manifest.started_ns,
                *_extent(run.path),
            )
            for run in self._runs()
        )

    def places(self) -> Sequence[str]:
        """The places alone, newest first."""
        return tuple(str(run.path) for run in self._runs())

    def _runs(self) -> "Sequence[RunFolder]":
        from nntrace.runs.find import list_runs

        try:
            return list_runs(self.folder)[0]
        except NntraceError:
            return ()

    def watch(self, place: str) -> "Watch":
        """The run in a folder, to be shown."""
        from nntrace.watch import Watch

        return Watch(Path(place), self.diagnose, self, thresholds=self.thresholds)


def _extent(path: Path) -> tuple[int | None, float | None]:
    from nntrace.trace import last_step

    try:
        return last_step(path)
    except (NntraceError, OSError):
        return None, None
