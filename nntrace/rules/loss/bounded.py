"""Predictions within bounds that training pushes them against.

Logits that cannot leave [−1, 1] or less, such as cosines, are a part of LOS05, and probabilities
that cannot leave those of a sigmoid of a sigmoid of LOS04.
"""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from nntrace.rules.common.calls import LossCall
from nntrace.rules.common.signals import median, span
from nntrace.rules.finding import Finding, Severity
from nntrace.schema import Role
from nntrace.trace import Batch, Trace

_BATCHES: Final = 20
_LATE: Final = 5  # of these, in the second half of the steps, where something was learned
_ROUNDING: Final = 1e-3
_AT_THE_BOUND: Final = 0.97  # of its largest values: the loss pushes them against it
_SHRUNK: Final = 0.3  # cosines reach more in training, unless a scale makes them smaller
_MATTERS: Final = 0.2  # the least loss that logits at the bounds allow
_LEARNED: Final = 0.9  # of the first loss, so that logits are where training wants them
_BINARY: Final = "binary_cross_entropy_with_logits"
_TWO_SIGMOIDS: Final = (0.5, 1 / (1 + math.exp(-1.0)))  # of 0 and of 1
_NEAR: Final = 0.01


def bounded_logits(trace: Trace, call: LossCall, given: Sequence[Batch]) -> Finding | None:
    """The finding on a cross-entropy whose logits are pushed against a bound of 1, or are cosines
    that a scale makes smaller.

    Args:
        given: the batches that the call received.
    """
    seen = [b for b in given if b.output_min is not None and b.output_max is not None]
    sizes = [(b.output_min or 0.0, b.output_max or 0.0) for b in seen]
    if call.function not in ("cross_entropy", _BINARY) or len(seen) < _BATCHES or call.is_paired:
        return None
    middle = (seen[0].step + seen[-1].step) / 2
    late = [batch for batch in seen if batch.step >= middle]
    classes = max((b.classes or 0 for b in seen), default=0)
    reach = [max(-low, high) for low, high in sizes]
    is_shrunk = call.head == "cosine" and max(reach) < _SHRUNK
    bound = max(reach) if is_shrunk else 1.0
    least = _least(call.function, classes, bound)
    if len(late) < _LATE or max(reach) > 1.0 + _ROUNDING or least < _MATTERS:
        return None
    level, first = (median([b.loss_value or np.nan for b in some]) for some in (late, seen[:_LATE]))
    low, high = (
        median([b.output_min or 0.0 for b in late]),
        median([b.output_max or 0.0 for b in late]),
    )
    is_pushed = high >= _AT_THE_BOUND and low < 0.0 and level < _LEARNED * first  # or probabilities
    if not is_shrunk and not is_pushed:
        return None
    why = "never leave [−1, 1], against whose end training pushes them"
    if is_shrunk:
        why = f"are cosines times a scale, and never leave [−{bound:.2g}, {bound:.2g}]"
    return Finding(
        f"the logits of `{call.path}` {why}: the loss, now {level:.3g}, cannot fall below "
        f"{least:.3g}, and even a sure answer gets a probability of {np.exp(-least):.0%}.",
        site=trace.site(call.path, Role.OUTPUT),
        steps=span([batch.step for batch in seen]),
        severity=Severity.WARNING,
        evidence={"output_max": max(high for _, high in sizes), "least_loss": least, "loss": level},
        advice="Multiply cosines by the scale or divide them by the temperature: by 10 to 30, or "
        "by 0.1 or less."
        if is_shrunk
        else "Cosines and outputs of tanh need a scale before a cross-entropy: multiply them by "
        "10 to 30 (divide by a temperature of 0.1 or less), or by a parameter that is learned.",
        location=call.location,
    )


def passed_two_sigmoids(seen: Sequence[Batch]) -> bool:
    """Whether probabilities fill what a sigmoid makes of the values of another, and never more."""
    low, high = _TWO_SIGMOIDS
    lows, highs = [b.output_min or 0.0 for b in seen], [b.output_max or 0.0 for b in seen]
    if len(seen) < _BATCHES or min(lows) < low - _ROUNDING or max(highs) > high + _ROUNDING:
        return False
    half = len(seen) // 2
    return median(lows[half:]) < low + _NEAR and median(highs[half:]) > high - _NEAR


def _least(function: str, classes: int, bound: float) -> float:
    """The least cross-entropy that logits within ±`bound` allow; 0 if the classes are unknown."""
    if function == _BINARY:
        return float(np.log1p(np.exp(-bound)))
    return float(np.log1p((classes - 1) * np.exp(-2.0 * bound))) if classes > 1 else 0.0
