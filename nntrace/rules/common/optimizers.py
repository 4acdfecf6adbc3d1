"""The optimizers of a run: the lines that build them, and the steps that each made."""

import re
from collections.abc import Collection, Iterator

import numpy as np

from nntrace.rules.common.payloads import place, text
from nntrace.rules.finding import Location
from nntrace.schema import EventKind
from nntrace.trace import Site, Trace
from nntrace.trace.model import BoolArray, IntArray

ADAM_WANTS_LESS = "Adam wants rates some tens of times smaller than SGD."
_SCALE_FREE = ("adam", "rmsprop", "adagrad", "adadelta", "adafactor", "lion", "lamb")
CLIPPING = ("clipnorm", "global_clipnorm", "clipvalue")  # settings of Keras' optimizers


def optimizer_line(
    trace: Trace,
    site: Site | None = None,
    settings: Collection[str] = (),
    name: str | None = None,
) -> Location | None:
    """The line that built the optimizer of a parameter, or the run's only one; else None.

    Args:
        site: of a parameter or its update.
        settings: if given, only optimizers that have one of these settings count.
        name: if given, that of the optimizer.
    """
    name = site.optimizer if site is not None else name
    places = {
        place(event.payload)
        for event in trace.events_of(EventKind.OPTIMIZER)
        if name in (None, text(event.payload, "name"))
        if not settings or any(key in settings for key in event.payload)
    }
    return places.pop() if len(places) == 1 else None


def is_of_no_model(site: Site) -> bool:
    """Whether an optimizer holds what no model has: a parameter that another one has replaced.

    Or all of them in one flat buffer, as DeepSpeed's ZeRO.
    """
    is_loose = site.module_type == "Parameter"
    return is_loose and re.fullmatch(r".+\.group\d+\.\d+", site.path) is not None


def are_scale_free(trace: Trace) -> bool:
    """Whether optimizers made the steps, and all divide by the gradient's size, as Adam does."""
    classes = {text(e.payload, "class").lower() for e in trace.events_of(EventKind.OPTIMIZER)}
    return bool(classes) and all(any(word in one for word in _SCALE_FREE) for one in classes)


def norms_by_optimizer(trace: Trace) -> Iterator[tuple[str, BoolArray, IntArray]]:
    """Yield each optimizer's name, which steps it made, and at which of them a norm is known.

    The last two are [steps] and indices of steps. A gradient norm of zero counts as unknown.
    """
    steps = trace.steps
    for name in sorted(set(steps.optimizer)):
        own = np.array([one == name for one in steps.optimizer], dtype=bool)
        yield name, own, np.flatnonzero(own & np.isfinite(steps.grad_norm) & (steps.grad_norm > 0))


def backward_line(trace: Trace) -> Location | None:
    """The line that computed gradients first; None if none was recorded."""
    objectives = trace.events_of(EventKind.OBJECTIVE)
    return place(objectives[0].payload) if objectives else None
