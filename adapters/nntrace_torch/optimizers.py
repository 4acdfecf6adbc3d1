"""The optimizers seen so far: their names, what they hold, their learning rates."""

import weakref
from typing import Any

import torch
from torch.optim import Optimizer

from nntrace.recorder import Recorder
from nntrace.schema import EventKind
from nntrace_torch.sources import Sources


class Optimizers:
    """Every optimizer that has stepped."""

    def __init__(self, recorder: Recorder, sources: Sources) -> None:
        self._recorder = recorder
        self._sources = sources
        self._names: dict[int, tuple[weakref.ref[Optimizer], str]] = {}
        self._held: dict[int, weakref.ref[torch.Tensor]] = {}
        self.count = 0

    def observe(self, optimizer: Optimizer) -> None:
        """Take note of an optimizer when it first steps, and of parameters it was given since."""
        known = self._names.get(id(optimizer))
        if known is None or known[0]() is not optimizer:
            self.count += 1
            name = type(optimizer).__name__ + (f".{self.count}" if self.count > 1 else "")
            self._names[id(optimizer)] = (weakref.ref(optimizer), name)
            self._hold(optimizer)
            self._announce(optimizer, name)

    @property
    def living(self) -> int:
        """How many of them are still there."""
        return sum(reference() is not None for reference, _ in self._names.values())

    def name(self, optimizer: Optimizer) -> str:
        """Its class, numbered from the second optimizer on."""
        known = self._names.get(id(optimizer))
        return known[1] if known is not None else type(optimizer).__name__

    def holds(self, parameter: torch.Tensor) -> bool:
        """Whether any optimizer was given this parameter."""
        reference = self._held.get(id(parameter))
        if reference is not None and reference() is parameter:
            return True
        for entry, _ in self._names.values():  # a group added, or a parameter replaced, since?
            optimizer = entry()
            if optimizer is not None:
                self._hold(optimizer)
        reference = self._held.get(id(parameter))
        return reference is not None and reference() is parameter

    def holder(self, parameter: torch.Tensor) -> Optimizer | None:
        """The first living optimizer that was given this parameter."""
        for reference, _ in self._names.values():
            optimizer = reference()
            if optimizer is not None and any(
                held is parameter for group in optimizer.param_groups for held in group["params"]
            ):
                return optimizer
        return None

    def learning_rate(self, optimizer: Optimizer) -> float | None:
        """The first parameter group's, unless it lives on an accelerator."""
        rate = optimizer.param_groups[0].get("lr") if optimizer.param_groups else None
        if isinstance(rate, torch.Tensor):
            return float(rate) if rate.device.type == "cpu" else None
        return None if rate is None else float(rate)

    def _hold(self, optimizer: Optimizer) -> None:
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                self._held[id(parameter)] = weakref.ref(parameter)

    def _announce(self, optimizer: Optimizer, name: str) -> None:
        group: dict[str, Any] = optimizer.param_groups[0] if optimizer.param_groups else {}
        source = self._sources.of(optimizer)
        numbers = {
            key: float(group[key])
            for key in ("weight_decay", "momentum", "eps")
            if isinstance(group.get(key), (int, float))
        }
        payload = {
            "name": name,
            "class": type(optimizer).__name__,
            "parameters": sum(len(g["params"]) for g in optimizer.param_groups),
            "groups": len(optimizer.param_groups),
            "lr": self.learning_rate(optimizer),
            **numbers,
            "file": source.file,
            "line": source.line,
        }
        self._recorder.add_event(EventKind.OPTIMIZER, payload)
