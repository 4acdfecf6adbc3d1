"""Layers of Keras that were frozen or unfrozen after the training step had been built."""

from nntrace.rules.common.layers import named
from nntrace.rules.common.payloads import place
from nntrace.rules.finding import Finding
from nntrace.schema import EventKind
from nntrace.trace import Trace


def flagged_too_late(trace: Trace, key: str, what: str) -> Finding | None:
    """The first finding on variables that `fit` treats as they were marked before.

    Args:
        trace: the run.
        key: of the event, which lists the variables.
        what: a clause on them.
    """
    for event in trace.events_of(EventKind.TRAINABLE):
        listed = event.payload.get(key)
        paths = [str(path) for path in listed] if isinstance(listed, list) else []
        if paths:
            return Finding(
                f"{what}: {named(paths)}. Keras builds the training step at the first `fit` after "
                "`compile`, and does not see what becomes of `trainable` later.",
                steps=(event.step, event.step),
                evidence={"parameters": paths},
                advice="Call `model.compile(...)` again after you have changed `trainable`, before "
                "the next `fit`.",
                location=place(event.payload),
            )
    return None
