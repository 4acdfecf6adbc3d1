"""A schedule that follows a metric in the wrong direction."""

from typing import Final

from nntrace.rules.common.payloads import count, number, place, text
from nntrace.rules.common.signals import finite
from nntrace.rules.finding import Finding
from nntrace.schema import EventKind
from nntrace.trace import Trace

_FALLEN: Final = 0.05  # of its first value, by which what a schedule follows has surely fallen


def follows_a_loss_upwards(trace: Trace, decay: float) -> Finding | None:
    """The finding on a schedule that takes each fall of a loss for no progress; else None."""
    rates = finite(trace.steps.lr)
    for event in reversed(trace.events_of(EventKind.SCHEDULER)):
        first, last, lowest = (number(event.payload, key) for key in ("first", "last", "lowest"))
        if event.payload.get("mode") != "max" or first is None or last is None or lowest is None:
            continue
        fallen = first - lowest
        is_falling = fallen > _FALLEN * abs(first) and last - lowest < 0.2 * fallen
        if count(event.payload, "calls") < 4 or not is_falling or len(rates) < 2:
            return None
        if not rates[-1] <= rates.max() / decay**0.5:
            return None
        return Finding(
            f"{text(event.payload, 'class')} waits for values to rise (`mode='max'`), and was "
            f"given values that fell from {first:.3g} to {last:.3g}, as a loss does: it took each "
            f"for no progress and lowered the rate from {rates.max():.2g} to {rates[-1]:.2g}.",
            steps=(event.step, event.step),
            evidence={"first": first, "last": last, "rate": float(rates[-1])},
            advice="Build it with `mode='min'` for a loss, or give it an accuracy.",
            location=place(event.payload),
        )
    return None
