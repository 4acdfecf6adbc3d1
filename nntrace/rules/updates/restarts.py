"""A warm-up that begins again and again: the rate climbs, falls at once, and climbs."""

from typing import Final

import numpy as np

from nntrace.rules.finding import Finding
from nntrace.trace import Trace
from nntrace.trace.model import FloatArray

_VALUES: Final = 3  # different rates on the way up, at least: a climb, not a step
_BESIDE: Final = 1  # steps by which an epoch may be longer than another


def warm_up_restarts(trace: Trace, an_epoch: int, fall: float, times: int) -> Finding | None:
    """The finding if the rate is warmed up once per epoch; else None.

    Args:
        trace: with the rate of each step of one optimizer.
        an_epoch: the optimizer steps of an epoch; 0 if unknown.
        fall: the share of the rate that is left after a step of it begins a new warm-up.
        times: how often that must have happened.
    """
    rates = trace.steps.lr
    if len(set(trace.steps.optimizer)) != 1 or not np.isfinite(rates).all():
        return None
    begins = np.flatnonzero(rates[1:] < fall * rates[:-1]) + 1
    if len(begins) < times:
        return None
    lengths = np.diff(begins, prepend=0)
    length = int(np.median(lengths))
    if np.abs(lengths - length).max() > _BESIDE or (an_epoch and abs(an_epoch - length) > _BESIDE):
        return None
    parts = np.split(rates, begins)[:-1]  # the last one may not have come to its end
    if not all(_climbs(part, fall) for part in parts):
        return None
    highest = max(float(part.max()) for part in parts)
    return Finding(
        f"the rate climbs to {highest:.2g} and falls back to {rates[begins[0]]:.2g} every {length} "
        f"steps, {len(begins)} times: its warm-up begins anew in every epoch.",
        evidence={"length": length, "times": len(begins), "highest": highest},
        advice="Build the scheduler once, before the loop over epochs, and step it on; a rate that "
        "the program computes itself counts all steps of the run, not those of the epoch.",
    )


def _climbs(rates: FloatArray, fall: float) -> bool:
    """Whether rates rise, step by step, before they perhaps decline."""
    up = rates[: int(rates.argmax()) + 1]
    return bool((np.diff(up) >= 0).all() and up[0] < fall * up[-1]) and len(set(up)) >= _VALUES
