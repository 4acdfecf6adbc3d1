"""The seam between nntrace and a framework: what an adapter is and how it is found.

An adapter is an entry point of group `nntrace.adapters` whose name is the framework's import
name. It is loaded only after that framework has finished importing.
"""

from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from nntrace.recorder import Recorder

GROUP = "nntrace.adapters"


class Adapter(Protocol):
    """Turns a framework's training into samples for a recorder.

    Its class is called without arguments by the entry point's loader.
    """

    def install(self, recorder: "Recorder") -> Callable[[], None]:
        """Hook into the framework; return what undoes every hook and patch.

        The undo may be called twice, the first time from within a hook that failed.

        The hooks must be guarded (`recorder.guard`) and must not change the training: same
        numbers, same random states, no graph or tensor kept alive beyond its step.
        """
        ...

    def nothing_recorded(self) -> str:
        """Why there is no record, as a clause: `no optimizer step happened`."""
        ...


def installed_adapters() -> dict[str, EntryPoint]:
    """The entry points by framework name; nothing is imported."""
    return {entry.name: entry for entry in entry_points(group=GROUP)}
