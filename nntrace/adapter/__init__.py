"""The seam between nntrace and a framework: what an adapter is and how it is found.

An adapter is an entry point of group `nntrace.adapters` whose name is the framework's import
name. It is loaded only after that framework has finished importing.
"""

from collections.abc import Callable, Iterable
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, Final, Protocol

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


DESCRIBES_ITSELF: Final = "__nntrace__"


class Modules(Protocol):
    """What a framework built on another one (Keras on PyTorch) says about its modules.

    Its adapter sets this as attribute `DESCRIBES_ITSELF` of their class; the adapter of the
    framework below, which sees the modules run, asks it.
    """

    def children(self, module: Any) -> Iterable[Any]:
        """The modules directly inside a module."""
        ...

    def parts(self, root: Any) -> Iterable[tuple[str, Any, Iterable[tuple[str, Any]]]]:
        """A module and all inside it: path, module, and (path, tensor) of its own parameters."""
        ...

    def unit_axis(self, module: Any) -> int:
        """The axis of channels or features in its output."""
        ...

    def activation(self, module: Any) -> str:
        """The activation function that it applies itself, after its weights; empty without one."""
        ...

    def dropout_rate(self, module: Any) -> dict[str, float]:
        """The column of `sites` that tells a dropout layer's rate."""
        ...

    def value_range(self, module: Any) -> dict[str, float]:
        """The columns of `sites` that bound its output."""
        ...

    def fans(self, shape: tuple[int, ...], module: Any) -> dict[str, int]:
        """The columns `fan_in` and `fan_out` of a parameter of its own."""
        ...


def described(module: Any) -> Modules | None:
    """What describes a module, if its framework is built on the one that runs it."""
    found: Modules | None = getattr(type(module), DESCRIBES_ITSELF, None)
    return found


def installed_adapters() -> dict[str, EntryPoint]:
    """The entry points by framework name; nothing is imported."""
    return {entry.name: entry for entry in entry_points(group=GROUP)}
