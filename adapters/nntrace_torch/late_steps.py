"""Records steps that were not sampled, several at a time.

Right after a step's computation the processor's caches hold nothing of ours: recording one step
then takes ten times as long as each of several in a row. So a step's facts are only noted, and
recorded when several have come together, when time has passed, when the recorder is to decide
whether to sample, and before anything else is recorded.
"""

import threading
import time
from typing import Any, Final

from nntrace.recorder import Instant, PlainStep, Recorder

_MOST: Final = 32
_MOST_LIGHT: Final = 64
LONGEST_NS: Final = 100_000_000  # a tenth of the second within which all is to be on disk

# What is known of every step that has ended, in the order of `PlainStep`. A plain tuple, made at
# every step.
Step = tuple[int, *tuple[Any, ...]]


class LateSteps:
    """The steps of one process that are yet to be recorded.

    Attributes:
        waiting: these steps, the oldest first.
        room: how many may wait.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._thread = 0  # the one that trains
        self.waiting: list[Step] = []
        self.room = 0
        recorder.hooks.on_catching_up(recorder.guard(self._catch_up))
        recorder.hooks.on_end(recorder.guard(lambda: self._record(followed=True)))

    def add(self, step: Step) -> bool:
        """Note a step that has only plain facts, to be recorded now or later.

        Returns whether to sample the next step.
        """
        waiting = self.waiting
        waiting.append(step)
        if len(waiting) < self.room and step[0] - waiting[0][0] < LONGEST_NS:
            return False
        return self.record()

    def record(self, *, light: bool = False) -> bool:
        """Record the waiting steps; return whether to sample the next one.

        Of `light` steps only the indispensable facts were noted.
        """
        self._thread = threading.get_ident()
        wants_next = self._record(followed=False, light=light)
        self.room = min(self._recorder.room, _MOST_LIGHT if light else _MOST)
        return wants_next

    def add_now(self, step: Step, **facts: Any) -> bool:
        """Record a step with more than plain facts; return whether to sample the next one."""
        if self.waiting:
            self._record(followed=True)
        self.room = 0
        plain = PlainStep._make(step)._asdict()
        del plain["ended_ns"]
        return self._recorder.add_step(**plain, **facts, grad_norm=None)

    def _record(self, *, followed: bool, light: bool = False) -> bool:
        waiting, self.waiting = self.waiting, []
        since_1970_ns = time.time_ns() - time.perf_counter_ns()
        last = None if followed or not waiting else waiting.pop()
        if waiting:
            self._recorder.add_followed(waiting, since_1970_ns)
        if last is None:
            return False
        plain = PlainStep._make(last)._asdict()
        ended_ns = plain.pop("ended_ns")
        return self._recorder.add_step(
            **plain,
            grad_norm=None,
            sampled=False,
            gradients_cleared=None,
            jumped=False,
            ended=Instant(since_1970_ns + ended_ns, ended_ns),
            light=light,
        )

    def _catch_up(self) -> None:
        # Other threads record things, too, while this one may be adding a step.
        if self.waiting and threading.get_ident() == self._thread:
            self._record(followed=True)
            # The next step asks: an evaluation every few steps would put that off without end.
            self.room = 0
