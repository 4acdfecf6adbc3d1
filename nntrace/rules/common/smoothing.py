"""Label smoothing: how low it lets a cross-entropy fall."""

from math import log

from nntrace.rules.common.payloads import count, number
from nntrace.schema import EventKind
from nntrace.trace import Trace


def smoothed_floor(trace: Trace, function: str) -> tuple[float, float] | None:
    """The label smoothing of a loss function and the lowest loss it allows, in nats.

    That is the entropy of a smoothed target: 1 − s + s/C for its class and s/C for each other one.
    None without smoothing, or if the number of classes is not known.
    """
    for event in trace.events_of(EventKind.LOSS_CALL):
        smoothing, classes = (
            number(event.payload, "label_smoothing"),
            count(event.payload, "classes"),
        )
        if event.payload.get("function") == function and smoothing and classes > 1:
            if not 0.0 < smoothing <= 1.0:
                return None
            rest = smoothing / classes
            top = 1.0 - smoothing + rest
            return smoothing, -top * log(top) - (classes - 1) * rest * log(rest)
    return None
