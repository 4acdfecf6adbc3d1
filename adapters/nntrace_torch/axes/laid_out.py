"""Finds a module that is given its model's input with two axes exchanged by `view`.

`view` and `reshape` leave all numbers in their order: of [examples, channels, time] laid out as
[examples, time, channels] each row holds a stretch of one channel. `transpose` moves them.
"""

from typing import Any

import torch
from torch import nn

from nntrace.recorder import Recorder
from nntrace.schema import EventKind
from nntrace_torch.patching import is_captured
from nntrace_torch.program.containers import tensors_within
from nntrace_torch.program.sources import caller
from nntrace_torch.program.tensors import memory_of

_Place = tuple[int, int]


class LaidOutAnew:
    """Compares what modules are given with what their model was given, in a few forwards."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._shapes: dict[_Place, tuple[int, ...]] = {}  # of the model's arguments
        self._is_done = False

    def entered(self, depth: int, module: nn.Module, args: tuple[Any, ...]) -> None:
        """A module is called, within `depth` - 1 others; its call of the program is under way."""
        if self._is_done or is_captured():  # to ask for a shape would be part of a graph
            return
        given = {place: tensor for tensor in tensors_within(args) if (place := _whole(tensor))}
        if depth == 1:
            self._shapes = {place: tuple(tensor.shape) for place, tensor in given.items()}
            return
        for place, tensor in given.items():
            shape = self._shapes.get(place)
            if shape is not None and are_exchanged(shape, tuple(tensor.shape)):
                self._tell(shape, tuple(tensor.shape), module)
                return

    def _tell(self, shape: tuple[int, ...], result: tuple[int, ...], module: nn.Module) -> None:
        self._is_done = True
        payload = {
            "what": "input",
            "shape": list(shape),
            "result": list(result),
            "layer": type(module).__name__,
            **caller().place,
        }
        self._recorder.add_event(EventKind.AXES, payload, severity="warning")


def _whole(tensor: torch.Tensor) -> _Place | None:
    """Where a tensor lies whose numbers are all next to each other, in their order; else None."""
    if tensor.layout is not torch.strided or not tensor.is_contiguous():
        return None
    memory = memory_of(tensor)
    return None if memory is None else (memory, int(tensor.storage_offset()))


def are_exchanged(shape: tuple[int, ...], result: tuple[int, ...]) -> bool:
    """Whether two shapes have the same sizes in another order, axes of one element aside."""
    one, two = ([size for size in sizes if size != 1] for sizes in (shape, result))
    return one != two and sorted(one) == sorted(two)
