"""What is noted of steps that are not sampled, and the records of several at once."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from nntrace.recorder.records import Later, StepRecord

Noted = tuple[Any, ...]  # in the order of `PlainStep`: a plain tuple, made at every step


class PlainStep(NamedTuple):
    """What is noted of a step that was not sampled; `ended_ns` by the clock that no one sets."""

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
    """Steps that followed each other, for the writer to make records of.

    Attributes:
        steps: they.
        first: the number of the first.
        began_ns: when it began.
        since_1970_ns: what that clock is behind the time.
    """

    steps: Sequence[Noted]
    first: int
    began_ns: int
    since_1970_ns: int

    def records(self) -> list[StepRecord]:
        """Those of the single steps."""
        return _records(*self)


def _records(
    steps: Sequence[Noted], first: int, began_ns: int, since_1970_ns: int
) -> list[StepRecord]:
    records = []
    for number, (
        ended,
        wait,
        loss,
        rate,
        size,
        optimizer,
        phase,
        until,
        passes,
        *clip,
    ) in enumerate(steps, first):
        plain = wait, loss, rate, None, size, optimizer, phase, False, 0, None, until, passes
        none = False, None, None, None
        records.append(
            StepRecord(number, since_1970_ns + ended, ended - began_ns, *plain, *none, *clip)
        )
        began_ns = ended
    return records
