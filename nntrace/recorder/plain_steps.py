"""What is noted of an unsampled step, and how several are turned into records at once."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from nntrace.recorder.records import Later, StepRecord

Noted = tuple[Any, ...]  # the fields of `PlainStep`, as a cheap tuple: one is made at every step


class PlainStep(NamedTuple):
    """What is noted of an unsampled step; `ended_ns` is a time of the monotonic clock."""

    ended_ns: int
    data_wait_ns: int | None
    loss: Later
    lr: float | None
    batch_size: int | None
    optimizer: str
    phase: str
    before_backward_ns: int | None
    backwards: int | None
    clip_norm: Later
    clip_limit: float | None


class PlainSteps(NamedTuple):
    """Successive unsampled steps, which the writer turns into records.

    Attributes:
        steps: the steps, in order.
        first: the number of the first step.
        began_ns: when the first step began, by the monotonic clock.
        since_1970_ns: what to add to the monotonic clock to get nanoseconds since 1970.
    """

    steps: Sequence[Noted]
    first: int
    began_ns: int
    since_1970_ns: int

    def records(self) -> list[StepRecord]:
        """One record per step."""
        noted_steps, first, began_ns, since_1970_ns = self
        records = []
        # Positional, as this runs for nearly every step: in the order of the records' fields.
        for number, noted in enumerate(noted_steps, first):
            ended, wait, loss, lr, size, optimizer, phase, before_backward, backwards, *clip = noted
            facts = wait, loss, lr, None, size, optimizer, phase, False, 0, None
            passes = before_backward, backwards, False, None, None, None
            records.append(
                StepRecord(number, since_1970_ns + ended, ended - began_ns, *facts, *passes, *clip)
            )
            began_ns = ended
        return records
