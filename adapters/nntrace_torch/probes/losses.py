"""Reads the arguments of a step's loss functions: the lowest possible loss, and the accuracy."""

import inspect
from typing import Any

import torch.nn.functional as functional

from nntrace.recorder import Recorder
from nntrace.schema import EventKind
from nntrace_torch.loss.losses import LOSS_FUNCTIONS
from nntrace_torch.probes.floors import accuracy_of, floor_of
from nntrace_torch.program.sources import Source, caller

_MANY = 16  # loss functions in one step


class LossFacts:
    """Records the floor of the loss function of the first step, and the accuracy in every step.

    With several loss functions the floor is not known: one may work against another.

    Attributes:
        model_calls: calls of outermost modules in the first step.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._signatures = {
            name: inspect.signature(getattr(functional, name)) for name in LOSS_FUNCTIONS
        }
        self._floors: list[float | None] = []
        self._calls: set[tuple[str, Source]] = set()
        self._is_first_step = True
        self.model_calls = 0

    def called(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Note that a loss function is about to be called, and return its target."""
        given = self._signatures[name].bind(*args, **kwargs)
        given.apply_defaults()
        arguments = given.arguments
        if (accuracy := accuracy_of(name, arguments)) is not None:
            self._recorder.add_scalar("accuracy", accuracy)
        if self._is_first_step and len(self._floors) < _MANY:
            floor = floor_of(name, arguments)
            if floor and arguments.get("reduction") != "mean":
                floor = None
            self._floors.append(floor)
            self._calls.add((name, caller(installed=True)))
        return arguments.get("target")

    def step_ended(self) -> None:
        """Record the floor after the first step that called a loss function."""
        if not self._is_first_step or not self._floors:
            return
        self._is_first_step = False
        # More calls than calls of the model: two on one line. Micro-batches of one loss function
        # have one call of the model each.
        several = len(self._calls) > 1 or len(self._floors) > max(self.model_calls, 1)
        floor = self._floors[0] if not several and len(set(self._floors)) == 1 else None
        if floor is not None and self._recorder.ending is not None:
            self._recorder.ending.floor = floor
        self._recorder.add_event(EventKind.EXPERIMENT, {"floor": floor})
