"""Judges whether a replayed step came out as it had in the run."""

import math
from typing import Any, Final, NamedTuple

from nntrace.replay.capsule import Capsule
from nntrace.replay.play import Outcome
from nntrace.rules.numerics.origins import Origin, origin_of

_SAME_LOSS: Final = 1e-3  # relative


class Verdict(NamedTuple):
    """Whether a step came out as it had in the run.

    Attributes:
        reproduced: whether it did.
        recorded: the origin found in the run.
        found: the origin found in the replay; None if all values were finite.
    """

    reproduced: bool
    recorded: Origin
    found: Origin | None


def judge(capsule: Capsule, outcome: Outcome) -> Verdict:
    """Compare a replay with what was recorded: the operation and its line, or the loss."""
    recorded = origin_of(capsule.origin or {}, capsule.step)
    if outcome.origin is None:
        was, now = losses(capsule, outcome)
        is_same = capsule.reason == "loss_spike" and abs(now - was) <= _SAME_LOSS * abs(was)
        return Verdict(is_same, recorded, None)
    found = origin_of({**outcome.origin, "step": capsule.step}, capsule.step)
    return Verdict(_identity(found) == _identity(recorded), recorded, found)


def _identity(origin: Origin) -> tuple[Any, ...]:
    return origin.where, origin.text("op"), origin.text("given"), origin.location


def losses(capsule: Capsule, outcome: Outcome) -> tuple[float, float]:
    """The loss of the step in the run and in the replay; NaN where it is unknown."""
    recorded = capsule.content.get("loss")
    was = float(recorded) if isinstance(recorded, (int, float)) else math.nan
    return was, math.nan if outcome.loss is None else outcome.loss
