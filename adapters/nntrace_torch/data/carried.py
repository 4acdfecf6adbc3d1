"""Notices the state of a recurrent layer that goes on from one shuffled batch to the next.

The sequences of such batches have nothing to do with each other. A state that goes on within a
batch of a loader, where a long recording is read piece by piece, is as it should be.
"""

from typing import Any

import torch
from torch import nn

from nntrace.recorder import Recorder
from nntrace.schema import EventKind
from nntrace_torch.data.loaders import LoaderObserver
from nntrace_torch.program.containers import tensors_in
from nntrace_torch.program.sources import Sources
from nntrace_torch.program.tensors import can_sample

_SEEN = 4  # batches that went on from the state of the one before
_FEW = 32  # elements that are compared
_Values = tuple[float, ...]


class CarriedStates:
    """Compares the state that a layer is given with the one it returned for the batch before."""

    def __init__(self, recorder: Recorder, loaders: LoaderObserver, sources: Sources) -> None:
        self._recorder = recorder
        self._loaders = loaders
        self._sources = sources
        self._returned: dict[int, tuple[int, _Values]] = {}  # by layer: the batch, and the state
        self._carried = self._fresh = 0
        self._is_done = False

    def called(self, layer: nn.Module, given: Any, output: Any) -> None:
        """A recurrent layer was called in a sampled step.

        Args:
            layer: an `RNNBase`.
            given: its arguments.
            output: what it returned.
        """
        batch = self._loaders.shuffled_batches
        if self._is_done or batch is None or not layer.training:
            return
        before = self._returned.get(id(layer))
        if before is not None and before[0] == batch - 1:
            state = _values(given[1:])
            is_carried = state is not None and any(state) and state == before[1]
            self._carried += is_carried
            self._fresh += not is_carried
            if self._carried == _SEEN or self._fresh == _SEEN:
                self._is_done = True
            if self._carried == _SEEN and not self._fresh:
                self._tell(layer)
        returned = _values(output[1:]) if isinstance(output, tuple) else None
        if returned is not None:
            self._returned[id(layer)] = batch, returned

    def _tell(self, layer: nn.Module) -> None:
        kind = type(layer).__name__
        payload = {"class": kind, **self._sources.of(layer).place}
        self._recorder.add_event(EventKind.CARRIED, payload, severity="warning")


def _values(state: Any) -> _Values | None:
    """A few values of the first tensor of a state; None without one on the processor."""
    first = next(iter(tensors_in(state)), None)
    if first is None or not can_sample(first) or not first.is_cpu or not first.numel():
        return None
    with torch.no_grad():
        flat = first.detach().reshape(-1)
        return tuple(flat[:: max(1, flat.numel() // _FEW)][:_FEW].tolist())
