"""Layers that were frozen or unfrozen in vain: too late, or by an attribute that nothing reads."""

from nntrace.rules.common.layers import named
from nntrace.rules.common.payloads import items, place, text
from nntrace.rules.finding import Finding
from nntrace.schema import EventKind
from nntrace.trace import Trace


def flagged_in_vain(trace: Trace, key: str, what: str) -> Finding | None:
    """The first finding on parameters that are not treated as the program marked them.

    Args:
        trace: the run.
        key: of the event, which lists the parameters.
        what: a clause on them.
    """
    for event in trace.events_of(EventKind.TRAINABLE):
        paths = [str(path) for path in items(event.payload, key)]
        if paths:
            why, advice = _reason(text(event.payload, "switch"))
            return Finding(
                f"{what}: {named(paths)}. {why}",
                steps=(event.step, event.step),
                evidence={"parameters": paths},
                advice=advice,
                location=place(event.payload),
            )
    return None


def _reason(switch: str) -> tuple[str, str]:
    """Why the mark has no effect, and what to do; `switch` is the attribute of PyTorch, if any."""
    if not switch:
        return (
            "Keras builds the training step at the first `fit` after `compile`, and does not see "
            "what becomes of `trainable` later.",
            "Call `model.compile(...)` again after you have changed `trainable`, before the next "
            "`fit`.",
        )
    *_, owner, attribute = ["model", *switch.split(".")]
    if attribute == "requires_grad":
        return (
            f"`{owner}.requires_grad = False` freezes nothing: of a module it is an attribute that "
            "nothing reads.",
            f"Call the method: `{owner}.requires_grad_(False)`.",
        )
    return (
        f"`{attribute} = False` freezes nothing: the attribute is called `requires_grad`.",
        "Write `parameter.requires_grad = False`, or call `requires_grad_(False)`, which fails if "
        "it is misspelled.",
    )
