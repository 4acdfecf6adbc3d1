"""Notices gradients that are computed and never applied.

Until the first step, gradients by variables are counted, and a few of the variables' values
compared: programs that change variables by hand, or want the gradient of an input, are not idle.
"""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
from tensorflow.python.eager import record

from nntrace.recorder import Recorder, is_landmark
from nntrace.schema import EventKind
from nntrace_keras.program.sources import caller
from nntrace_keras.tape.under_tape import Gradient

_MANY = 32  # usually more than are accumulated for one step
_LOOKED_AT = 8  # variables
_ELEMENTS = 64  # of each variable


class IdleWatch:
    """Watches for idle gradients before the first step."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._passes = 0
        self._values: list[bytes] = []
        self._gathered = self._needed = 0

    def differentiated(self, gradients: Sequence[Gradient]) -> None:
        """Count gradients that were computed and have not been applied; record if they are idle."""
        variables = [source for g in gradients for source in g.sources if _is_trainable(source)]
        if self._recorder.steps or not variables:
            return
        self._passes += 1
        if self._passes == 1:
            self._values = _some_of(variables)
        elif self._passes >= _MANY and is_landmark(self._passes):
            before, self._values = self._values, _some_of(variables)
            if before == self._values:
                source = gradients[-1].source or caller()
                payload = {"backwards": self._passes, **source.place}
                self._recorder.add_event(EventKind.IDLE, payload, severity="warning")
                self._recorder.open()

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
            tf.reshape(variable, [-1])[:_ELEMENTS].numpy().tobytes()
            for variable in variables[:_LOOKED_AT]
        ]
