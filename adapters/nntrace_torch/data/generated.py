"""Compares the data that a discriminator is given with the range that its generator ends in.

Both come as the same argument of the same module: what was generated is known by its graph, and the
rest has none. A generator that one model holds beside its discriminator is a module of its own.
Only looked at where several optimizers take turns.
"""

import math
from statistics import median
from typing import Any, NamedTuple

import torch
from torch import nn

from nntrace.recorder import Recorder
from nntrace.schema import EventKind
from nntrace_torch.loss.graph import head
from nntrace_torch.program.tensors import can_sample
from nntrace_torch.samples.modules import Model

_BOUNDS = {"tanh": (-1.0, 1.0), "sigmoid": (0.0, 1.0)}
_BESIDE = 0.05  # of the width of a range, by which values may lie outside of it
_LOOKS = 12  # batches without a graph
_MOST = 1 << 16  # elements of a batch that are compared


class _Values(NamedTuple):
    """Of a batch its extremes, and the share of values outside of each range."""

    least: float
    most: float
    beyond: dict[str, float]


class GeneratedRanges:
    """Looks at the first batches that each model, or part of one that is called alone, is given."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._heads: dict[str, str] = {}  # by path, of what is generated for it
        self._seen: dict[str, list[_Values]] = {}

    def called(self, model: Model, module: nn.Module, args: tuple[Any, ...]) -> None:
        """A model is called in a sampled step: its `module`, the root or one of its parts."""
        given = args[0] if args else None
        if type(given) is not torch.Tensor or not given.is_floating_point() or given.dim() < 2:
            return
        path = model.path_of(module) or model.prefix
        seen = self._seen.setdefault(path, [])
        if len(seen) == _LOOKS or not can_sample(given) or not given.is_cpu or not given.numel():
            return
        if given.grad_fn is not None:
            found = head(given).name
            if found in _BOUNDS:
                self._heads.setdefault(path, found)
        elif not given.requires_grad:
            values = _values(given.reshape(-1)[:_MOST])
            if not math.isfinite(values.most - values.least):
                return
            seen.append(values)
            if len(seen) == _LOOKS and path in self._heads:
                self._tell(path, self._heads[path], seen)

    def _tell(self, path: str, its_head: str, seen: list[_Values]) -> None:
        # Some batches were generated and cut off from their graph: they are in the lower half.
        shares = sorted(values.beyond[its_head] for values in seen)[len(seen) // 2 :]
        payload = {
            "model": path,
            "head": its_head,
            "beyond": median(shares),
            "least": min(values.least for values in seen),
            "most": max(values.most for values in seen),
        }
        self._recorder.add_event(EventKind.GENERATED, payload)


def _values(given: torch.Tensor) -> _Values:
    beyond = {}
    for name, (low, high) in _BOUNDS.items():
        beside = _BESIDE * (high - low)
        is_beyond = (given < low - beside) | (given > high + beside)
        beyond[name] = float(is_beyond.double().mean())
    return _Values(float(given.min()), float(given.max()), beyond)
