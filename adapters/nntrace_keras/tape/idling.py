"""Notices gradients that are computed and never applied.

What is a gradient by inputs alone does not count.
"""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
from tensorflow.python.eager import record

from nntrace.adapter.idling import ELEMENTS, LOOKED_AT, IdlePasses
from nntrace.recorder import Recorder
from nntrace.schema import EventKind
from nntrace_keras.program.sources import caller
from nntrace_keras.tape.under_tape import Gradient


class IdleWatch:
    """Watches for idle gradients before the first step."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._passes = IdlePasses(recorder)
        self._gathered = self._needed = 0

    def differentiated(self, gradients: Sequence[Gradient]) -> None:
        """Count gradients that were computed and have not been applied; record if they are idle."""
        variables = [source for g in gradients for source in g.sources if _is_trainable(source)]
        if self._recorder.steps or not variables:
            return
        self._passes.count(lambda: _some_of(variables), lambda: gradients[-1].source or caller())

    def gathered(self, needed: int) -> None:
        """Count a call of an optimizer that makes one step of `needed` calls."""
        self._gathered, self._needed = self._gathered + 1, needed

    def finish(self) -> None:
        """Record gradients that were accumulated for a step which never came."""
        if self._gathered and not self._recorder.steps:
            payload = {"backwards": self._gathered, "needed": self._needed}
            self._recorder.add_event(EventKind.IDLE, payload, severity="warning")


def _is_trainable(source: Any) -> bool:
    return hasattr(source, "assign") and bool(getattr(source, "trainable", False))


def _some_of(variables: Sequence[Any]) -> list[bytes]:
    with record.stop_recording():
        return [
            tf.reshape(variable, [-1])[:ELEMENTS].numpy().tobytes()
            for variable in variables[:LOOKED_AT]
        ]
