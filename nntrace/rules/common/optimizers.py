"""The lines that build optimizers and compute gradients, for faults that belong to no layer."""

from collections.abc import Collection

from nntrace.rules.common.payloads import place, text
from nntrace.rules.finding import Location
from nntrace.schema import EventKind
from nntrace.trace import Site, Trace

ADAM_WANTS_LESS = "Adam wants rates some tens of times smaller than SGD."
CLIPPING = ("clipnorm", "global_clipnorm", "clipvalue")  # settings of Keras' optimizers


def optimizer_line(
    trace: Trace, site: Site | None = None, settings: Collection[str] = ()
) -> Location | None:
    """The line that built the optimizer of a parameter, or the run's only one; else None.

    Args:
        site: of a parameter or its update.
        settings: if given, only optimizers that have one of these settings count.
    """
    name = site.optimizer if site is not None else None
    places = {
        place(event.payload)
        for event in trace.events_of(EventKind.OPTIMIZER)
        if name in (None, text(event.payload, "name"))
        if not settings or any(key in settings for key in event.payload)
    }
    return places.pop() if len(places) == 1 else None


def backward_line(trace: Trace) -> Location | None:
    """The line that computed gradients first; None if none was recorded."""
    objectives = trace.events_of(EventKind.OBJECTIVE)
    return place(objectives[0].payload) if objectives else None
