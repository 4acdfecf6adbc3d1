"""A dispatch mode in which nothing that existed before can be written to.

Every operation of a replay passes through it. An operation that would write to memory the replay
did not allocate, or communicate with other ranks, ends the replay before it is executed.
"""

from functools import lru_cache
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from nntrace_torch.program.containers import tensors_in
from nntrace_torch.program.tensors import memory_of

_COLLECTIVES = ("c10d", "_c10d_functional", "c10d_functional", "_dtensor")
_FRESH = "aten::lift_fresh"  # its schema says it returns a view, but the argument is a new constant


class ReplayRefusedError(BaseException):
    """The replay cannot go on without being seen by the training; the message says why.

    Not an `Exception`: the program's own handlers must not take it for an error of theirs.
    """


class ReplayEndedError(ReplayRefusedError):
    """The forward part of a step is over: what follows would change the training."""


class WriteGuard(TorchDispatchMode):
    """Refuses writes to memory that is not the replay's own."""

    supports_higher_order_operators = True

    def __init__(self) -> None:
        super().__init__()
        self._own: set[int] = set()

    def own(self, tensor: torch.Tensor) -> None:
        """Let the replay write to this tensor's memory, too."""
        if (place := memory_of(tensor)) is not None:
            self._own.add(place)

    def owns(self, tensor: torch.Tensor) -> bool:
        """Whether a tensor's memory is the replay's own."""
        return memory_of(tensor) in self._own

    def copied(self, original: torch.Tensor, copy: torch.Tensor) -> None:
        """Note that an argument was copied for the replay."""
        self.own(copy)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Execute one operation, or refuse it."""
        kwargs = kwargs or {}
        if any(kind.__name__ == "DTensor" for kind in types):
            raise ReplayRefusedError(f"{func} of a tensor spread over ranks needs the other ranks")
        self._check(func, args, kwargs)
        out = self.execute(func, args, kwargs)
        if not _returns_views(func):
            for tensor in tensors_in(out):
                self.own(tensor)
        return out

    def execute(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Execute an operation that is allowed; subclasses observe it here."""
        return func(*args, **kwargs)

    def _check(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if getattr(func, "namespace", "") in _COLLECTIVES:
            raise ReplayRefusedError(f"{func} needs the other ranks")
        for index, name in _written(func):
            value = args[index] if index < len(args) else kwargs.get(name)
            for tensor in tensors_in(value):
                place = memory_of(tensor)
                if place is not None and place not in self._own:
                    raise ReplayRefusedError(f"{func} writes to a tensor of the program")


@lru_cache(maxsize=4096)
def _written(func: Any) -> tuple[tuple[int, str], ...]:
    """Positions and names of the arguments an operation writes to."""
    schema = getattr(func, "_schema", None)
    return tuple(
        (index, argument.name)
        for index, argument in enumerate(schema.arguments if schema is not None else ())
        if argument.alias_info is not None and argument.alias_info.is_write
    )


@lru_cache(maxsize=4096)
def _returns_views(func: Any) -> bool:
    """Whether the results may share memory with the arguments."""
    schema = getattr(func, "_schema", None)
    if schema is None or schema.name == _FRESH:
        return False
    return any(result.alias_info is not None for result in schema.returns)
