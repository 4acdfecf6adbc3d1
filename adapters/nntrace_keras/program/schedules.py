"""Follows learning-rate schedules: which there are, how long they are, how far they have come.

A Keras schedule is a function of the optimizer's step count: every step counts.
"""

from typing import Any

import keras

from nntrace.recorder import Recorder, is_landmark, last_landmark
from nntrace.schema import EventKind
from nntrace_keras.program.sources import Sources


class ScheduleObserver:
    """Counts the steps of each optimizer that has a schedule."""

    def __init__(self, recorder: Recorder, sources: Sources) -> None:
        self._recorder = recorder
        self._sources = sources
        self._payloads: dict[str, dict[str, Any]] = {}
        self._calls: dict[str, int] = {}

    def announce(self, optimizer: Any, name: str) -> None:
        """Note the schedule of a new optimizer, if it has one."""
        schedule = getattr(optimizer, "_learning_rate", None)
        if not isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule):
            return
        self._payloads[name] = {
            "scheduler": len(self._payloads),
            "class": type(schedule).__name__,
            "optimizer": name,
            "horizon": _horizon(schedule),
            "optimizer_stepped": True,  # the schedule cannot be called before
            **self._sources.of(optimizer).place,  # where the optimizer that holds it was built
        }

    def stepped(self, name: str) -> None:
        """Count a step of an optimizer; record it at landmarks."""
        payload = self._payloads.get(name)
        if payload is None:
            return
        calls = self._calls[name] = self._calls.get(name, 0) + 1
        if is_landmark(calls):
            self._record(payload, calls)

    def passes(self, name: str, steps: int) -> bool:
        """Count steps of an optimizer; return False, counting none, if one must be recorded."""
        if name in self._payloads:
            calls = self._calls.get(name, 0)
            if last_landmark(calls + steps) > calls:
                return False
            self._calls[name] = calls + steps
        return True

    def finish(self) -> None:
        """Record how far each schedule has come at the end."""
        for name, calls in self._calls.items():
            if not is_landmark(calls):
                self._record(self._payloads[name], calls)
        self._calls.clear()

    def _record(self, payload: dict[str, Any], calls: int) -> None:
        self._recorder.add_event(EventKind.SCHEDULER, {**payload, "calls": calls})


def _horizon(schedule: Any) -> int | None:
    """The number of steps after which a schedule ends or repeats; None if it does not say."""
    boundaries = getattr(schedule, "boundaries", None)
    if boundaries:
        return int(max(boundaries))
    if isinstance(schedule, keras.optimizers.schedules.CosineDecayRestarts):
        return int(schedule.first_decay_steps)
    warm_up = getattr(schedule, "warmup_steps", None) or 0
    # An exponential decay has no end: at `decay_steps` it has decayed by its rate once.
    through = isinstance(
        schedule,
        keras.optimizers.schedules.CosineDecay | keras.optimizers.schedules.PolynomialDecay,
    )
    return int(schedule.decay_steps + warm_up) if through else None
