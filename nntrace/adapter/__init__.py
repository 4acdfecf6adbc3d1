"""The seam between nntrace and a framework: what an adapter is and how it is found.

An adapter is an entry point of group `nntrace.adapters` whose name is the framework's import
name. It is loaded only after that framework has finished importing.
"""

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from nntrace.recorder import Recorder

GROUP = "nntrace.adapters"


class Adapter(Protocol):
    """Turns a framework's training into samples for a recorder.

    The class that an entry point names is instantiated without arguments.
    """

    def install(self, recorder: "Recorder") -> Callable[[], None]:
        """Hook into the framework; return a function that undoes every hook and patch.

        That function may be called twice, the first time from within a hook that failed.

        The hooks must be guarded (`recorder.guard`) and must not change the training: same
        numbers, same random states, no graph or tensor kept alive beyond its step.
        """
        ...

    def nothing_recorded(self) -> str:
        """The reason why nothing was recorded, as a clause: `no optimizer step happened`."""
        ...


# The attribute by which classes of modules, and optimizers, of a framework that is built on another
# are described to the adapter of that one: by `Modules`, and by the keys of an `optimizer` event.
DESCRIBES_ITSELF: Final = "__nntrace__"


class Modules(Protocol):
    """What a framework built on another one (Keras on PyTorch) says about its modules.

    The upper framework's adapter sets an object of this kind as attribute `DESCRIBES_ITSELF` of the
    modules' class; the lower framework's adapter, which sees the modules run, asks it.
    """

    def children(self, module: Any) -> Iterable[Any]:
        """The modules directly inside a module."""
        ...

    def parts(self, root: Any) -> Iterable[tuple[str, Any, Iterable[tuple[str, Any]]]]:
        """A module and all inside it: (path, module, (path, tensor) of its own parameters)."""
        ...

    def is_symbolic(self, args: tuple[Any, ...]) -> bool:
        """Whether a module that is called with these arguments is asked for shapes alone."""
        ...

    def unit_axis(self, module: Any) -> int:
        """The axis of channels or features in a module's output."""
        ...

    def activation(self, module: Any) -> str:
        """The activation function a module itself applies after its weights; empty if none."""
        ...

    def dropout_rate(self, module: Any) -> dict[str, float]:
        """The column `dropout_rate` of `sites`, if the module is a dropout layer."""
        ...

    def value_range(self, module: Any) -> dict[str, float]:
        """The columns of `sites` that bound a module's output."""
        ...

    def fans(self, shape: tuple[int, ...], module: Any) -> dict[str, int]:
        """The columns `fan_in` and `fan_out` of a parameter with this shape of a module."""
        ...

    def modes(self, root: Any, *, training: bool) -> dict[str, int | bool]:
        """The fields of a `mode` event, from the last calls of the layers in a module.

        `training` is the mode of a module without layers that tell it.
        """
        ...

    def trained_norms(self, root: Any) -> int:
        """The number of batch norms whose running statistics are not those they were built with."""
        ...

    def statistics(self, module: Any) -> "Statistics | None":
        """Those of a batch norm, after a call; None for any other module."""
        ...


@dataclass(frozen=True, slots=True)
class Statistics:
    """The running statistics of a batch norm, as tensors of the framework that runs it.

    Attributes:
        axis: that of the channels in the batch norm's input.
        part: the part of a batch that is mixed into them; None for the mean of all batches.
        is_training: whether the last call mixed its batch into them.
    """

    mean: Any
    variance: Any
    epsilon: float
    part: float | None
    axis: int
    is_training: bool


DRAWS_FROM: Final = "__nntrace_data__"


@dataclass(frozen=True, slots=True)
class DataSource:
    """What a loader draws from, where a framework (Keras on PyTorch) makes a loader for each pass.

    The upper framework's adapter sets it as attribute `DRAWS_FROM` of the loader. Loaders with the
    same owner and key draw from the same data.

    Attributes:
        owner: the object that keeps the data alive.
        key: names the data as long as the owner lives.
        facts: more fields of the `loader` event.
    """

    owner: Any
    key: Hashable
    facts: dict[str, Any]


def described(module: Any) -> Modules | None:
    """The description of a module whose framework is built on the one that runs it, else None."""
    found: Modules | None = getattr(type(module), DESCRIBES_ITSELF, None)
    return found


def installed_adapters() -> dict[str, EntryPoint]:
    """The adapters' entry points by framework name; nothing is imported."""
    return {entry.name: entry for entry in entry_points(group=GROUP)}
