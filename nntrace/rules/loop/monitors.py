"""The rule on callbacks that act on a metric, and on which of its values they take for better."""

from collections.abc import Iterator
from typing import Any

from nntrace.rules.common.passes import reported_metrics
from nntrace.rules.common.payloads import count, number, place, text
from nntrace.rules.common.signals import span
from nntrace.rules.finding import Finding, Severity, Skipped
from nntrace.rules.rule import rule
from nntrace.schema import EventKind
from nntrace.trace import Trace

_MODES = {"lower": "min", "higher": "max"}
_SUPERLATIVES = {"lower": "lowest", "higher": "highest"}


@rule(
    "RUN14",
    "metric-watched-upside-down",
    Severity.WARNING,
    explains=("UPD02", "UPD06", "UPD09", "LOS07", "LOS14", "LOS15", "RUN12"),
    advice="Set `mode` of the callback to the direction in which the metric gets better.",
)
def metric_watched_upside_down(trace: Trace) -> Iterator[Finding | Skipped]:
    """A callback takes the worse values of a metric for the better ones.

    An `EarlyStopping` then ends the training because the model improves, a `ReduceLROnPlateau`
    takes its learning rate away, and a `ModelCheckpoint` keeps the worst epoch. Which values are
    better is what the metric itself says; a metric of the program's own says nothing and is not
    judged. Callbacks of Keras only.
    Source: Keras' documentation of `EarlyStopping`, argument `mode`.
    """
    events = trace.events_of(EventKind.MONITOR)
    if not events:
        yield Skipped("no callback that acts on a metric was seen")
        return
    for event in events:
        taken, meant = text(event.payload, "better"), text(event.payload, "meant")
        if taken in _MODES and meant in _MODES and taken != meant:
            values = _values(trace, text(event.payload, "metric"))
            kind, metric = text(event.payload, "class"), text(event.payload, "metric")
            yield Finding(
                f"`{kind}` takes {taken} values of `{metric}` for better, but {meant} ones are"
                f"{_what_became_of_it(trace, event.payload, values)}.",
                steps=span(trace.steps.step),
                evidence={"class": kind, "metric": metric, "taken": taken, "meant": meant},
                location=place(event.payload),
                advice=f'Build the `{kind}` with `mode="{_MODES[meant]}"`.',
            )


def _what_became_of_it(trace: Trace, payload: dict[str, Any], values: list[float]) -> str:
    """What the callback did to the run, as the end of a sentence; empty if nothing is known."""
    kind, taken, planned = text(payload, "class"), text(payload, "better"), count(payload, "epochs")
    if len(values) < 2:
        return ""
    course = f"went from {values[0]:.3g} to {values[-1]:.3g}"
    if kind == "EarlyStopping" and len(values) < planned:
        kept = f", and the weights of its {_SUPERLATIVES[taken]} value were put back"
        restored = kept if payload.get("restores") is True else ""
        return (
            f": it {course}, and training ended after {len(values)} of {planned} epochs{restored}"
        )
    if kind == "ReduceLROnPlateau":
        rates = trace.steps.lr[trace.steps.lr > 0]
        if len(rates) and rates[-1] < rates[0]:
            return (
                f": it {course} while the rate was lowered from {rates[0]:.2g} to {rates[-1]:.2g}"
            )
    if kind == "ModelCheckpoint":
        worst = min(values) if taken == "lower" else max(values)
        return f": it {course}, and the epoch with {worst:.3g} was kept as the best"
    return f": it {course}"


def _values(trace: Trace, metric: str) -> list[float]:
    """The values of a metric, by epoch."""
    values = (number(metrics, metric) for _, metrics in reported_metrics(trace))
    return [value for value in values if value is not None]
