"""Notices that gradients are computed and no step ever follows.

Passes are counted until the first step, and a few values of the parameters compared: a program that
changes them by itself is not idle.
"""

from collections.abc import Callable
from typing import Final

from nntrace.adapter.sources import Source
from nntrace.recorder import Recorder, is_landmark
from nntrace.schema import EventKind

LOOKED_AT: Final = 8  # parameters
ELEMENTS: Final = 64  # of each
_MANY: Final = 32  # passes: more than are accumulated for one step, as a rule


class IdlePasses:
    """The passes before the first step."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._passes = 0
        self._values: list[bytes] = []

    def count(self, read: Callable[[], list[bytes]], source: Callable[[], Source]) -> bool:
        """Count a pass, and record those so far if they are idle.

        Args:
            read: gives a few values of the parameters, none of which is kept alive by them.
            source: gives the line that asked for the gradients.

        Returns:
            Whether the parameters have changed without a step.
        """
        self._passes += 1
        if self._passes == 1:
            self._values = read()
        elif self._passes >= _MANY and is_landmark(self._passes) and self._values:
            before, self._values = self._values, read()
            if before != self._values:
                return True
            payload = {"backwards": self._passes, **source().place}
            self._recorder.add_event(EventKind.IDLE, payload, severity="warning")
            self._recorder.open()
        return False
