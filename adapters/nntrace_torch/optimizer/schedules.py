"""Follows learning-rate schedulers: their class, their horizon, how often they are stepped.

Their own step counts are read at optimizer steps: a wrapper around their `step` would change where
PyTorch's warnings point. A scheduler that is part of another one is stepped by that and not
followed.
"""

import math
import weakref
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.optim.lr_scheduler as schedulers

from nntrace.recorder import Recorder, is_recorded, last_landmark
from nntrace.schema import EventKind
from nntrace_torch.optimizer.optimizers import Optimizers
from nntrace_torch.patching import Undo, after, read_number
from nntrace_torch.program.sources import Source, caller

# Attributes in which schedulers hold the number of their steps until they end or repeat.
_HORIZONS = ("total_steps", "total_iters", "T_max", "T_0", "step_size", "total_size")


@dataclass(slots=True)
class _Known:
    """A scheduler; `began` is its count at the first optimizer step after it was built."""

    reference: Callable[[], Any]
    number: int
    kind: str
    source: Source
    optimizer: str = ""
    began: int | None = None
    calls: int = 0
    recorded: int = 0
    horizon: int | None = None
    optimizer_stepped: bool | None = None
    metrics: list[float] = field(default_factory=list)  # the first, the last, the lowest of those


class ScheduleObserver:
    """Counts the steps of each scheduler.

    Attributes:
        known: the schedulers.
        built: called for every new one.
    """

    def __init__(self, recorder: Recorder, optimizers: Optimizers) -> None:
        self._recorder = recorder
        self._optimizers = optimizers
        self.known: list[_Known] = []
        self._numbers = 0
        self._last: Callable[[], Any] = lambda: None  # to be built
        self.built: Callable[[], object] = lambda: None

    def install(self) -> list[Undo]:
        """Watch the constructors."""
        base = schedulers.LRScheduler
        kinds = [kind for kind in vars(schedulers).values() if isinstance(kind, type)]
        own = [kind for kind in dict.fromkeys(kinds) if issubclass(kind, base)]
        built = self._recorder.guard(self._built)
        given = self._recorder.guard(self._given)
        return [
            *(after(kind, "__init__", built) for kind in own if "__init__" in vars(kind)),
            after(schedulers.ReduceLROnPlateau, "step", given),
        ]

    def look(self) -> None:
        """Read the count of each scheduler; called before an optimizer steps."""
        for known in self.known:
            scheduler = known.reference()
            if scheduler is not None:
                self._count(known, scheduler)

    def finish(self) -> None:
        """Record how often each was stepped in the end, also if it never was."""
        self.look()
        self._tell(self.known)
        for known in self.known:
            if known.began is not None and not known.calls:
                self._record(known)

    def _tell(self, over: Iterable[_Known]) -> None:
        for known in over:
            if known.calls != known.recorded:
                self._record(known)

    def _built(self, result: None, scheduler: Any, *args: Any, **kwargs: Any) -> None:
        parts = getattr(scheduler, "_schedulers", ())
        self._tell(k for k in self.known if k.reference() is None)
        # An inner constructor is observed before the outer one, and a part before the whole.
        gone = (None, *parts)
        self.known = [k for k in self.known if not any(k.reference() is one for one in gone)]
        if self._last() is scheduler or any(k.reference() is scheduler for k in self.known):
            return
        self._last = weakref.ref(scheduler)
        number, self._numbers = self._numbers, self._numbers + 1
        if is_recorded(number):
            self.built()
            kind = type(scheduler).__name__
            self.known.append(_Known(self._last, number, kind, caller(scheduler)))

    def _given(self, result: None, scheduler: Any, metrics: Any = None, *args: Any) -> None:
        """A schedule that follows a metric was told its value; only numbers on the host count."""
        known = next((k for k in self.known if k.reference() is scheduler), None)
        is_tensor = type(metrics) is torch.Tensor and metrics.is_cpu and metrics.numel() == 1
        if known is None or not (is_tensor or isinstance(metrics, (int, float))):
            return
        value = read_number(metrics.detach()) if is_tensor else float(metrics)
        if math.isfinite(value):
            first, _, lowest = known.metrics or (value, value, value)
            known.metrics = [first, value, min(lowest, value)]

    def _count(self, known: _Known, scheduler: Any) -> None:
        count = _steps_of(scheduler)
        if known.began is None:
            optimizer = getattr(scheduler, "optimizer", None)
            resumed = bool(getattr(optimizer, "state", None))
            known.optimizer = "" if optimizer is None else self._optimizers.entry(optimizer).name
            known.horizon = _horizon(scheduler)
            known.optimizer_stepped = None if resumed else count <= 0
            known.began = count if resumed else 0
        calls = count - known.began
        if calls != known.calls:
            before, known.calls = known.calls, calls
            if last_landmark(calls) > before or calls < before:
                self._record(known)

    def _record(self, known: _Known) -> None:
        known.recorded = known.calls
        payload = {
            "scheduler": known.number,
            "class": known.kind,
            "optimizer": known.optimizer,
            "calls": known.calls,
            "horizon": known.horizon,
            "optimizer_stepped": known.optimizer_stepped,
            **known.source.place,
        }
        if known.metrics:
            first, last, lowest = known.metrics
            mode = getattr(known.reference(), "mode", None)
            payload |= {"mode": mode, "first": first, "last": last, "lowest": lowest}
        self._recorder.add_event(EventKind.SCHEDULER, payload)


def _steps_of(scheduler: Any) -> int:
    """How often a scheduler was stepped, by its own count, which is 0 when it has been built."""
    parts = getattr(scheduler, "_schedulers", None)
    count = getattr(scheduler, "last_epoch", None)
    if not isinstance(count, (int, float)):
        return _steps_of(parts[0]) if parts else 0
    return int(count)


def _horizon(scheduler: Any) -> int | None:
    """The number of its steps after which a scheduler ends or repeats; None if unknown."""
    parts = getattr(scheduler, "_schedulers", None)
    milestones = getattr(scheduler, "milestones", None) or getattr(scheduler, "_milestones", None)
    values = [getattr(scheduler, name, None) for name in _HORIZONS]
    if parts and milestones:  # one after another: the last begins at the last milestone
        last = _horizon(parts[-1])
        return None if last is None else int(max(milestones)) + last
    if milestones:
        return int(max(milestones))
    # Hugging Face's schedules are `LambdaLR` with a function that is told its length.
    told = (getattr(one, "keywords", {}) for one in getattr(scheduler, "lr_lambdas", None) or ())
    values += [words.get("num_training_steps") for words in told if isinstance(words, dict)]
    numbers = [int(value) for value in values if isinstance(value, (int, float)) and value > 0]
    return numbers[0] if numbers else None
