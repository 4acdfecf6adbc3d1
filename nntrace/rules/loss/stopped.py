"""A training that its `EarlyStopping` ended while the metric it watches still got better."""

from typing import Final

import numpy as np

from nntrace.rules.common.payloads import count, number, place, text
from nntrace.rules.common.signals import span
from nntrace.rules.finding import Finding, Severity
from nntrace.schema import EventKind
from nntrace.trace import Trace
from nntrace.trace.model import FloatArray

_SHORT: Final = 0.5  # of the planned epochs
_GAIN: Final = 0.1  # of what was left to gain: more than what goes for a plateau
_BEFORE: Final = 3  # epochs whose gains say how fast the metric was getting better
_BUMP: Final = 0.25  # of a gain before: the epoch that ended it was hardly worse
_SIGNS: Final = {"lower": 1.0, "higher": -1.0}


def stopped_while_better(trace: Trace) -> Finding | None:
    """The finding on a callback that took gains for none, or one epoch for the end of them."""
    for event in trace.events_of(EventKind.MONITOR):
        told = event.payload
        sign, meant = _SIGNS.get(text(told, "better")), text(told, "meant")
        patience, least = number(told, "patience"), number(told, "min_delta")
        if text(told, "class") != "EarlyStopping" or patience is None or least is None:
            continue
        if sign is None or (meant and meant != text(told, "better")):
            continue
        metric, planned = text(told, "metric"), count(told, "epochs")
        values = sign * _of_last_fit(trace, metric)
        if not 2 <= len(values) <= _SHORT * planned:
            continue
        best = _ended_after(values, int(patience), abs(least))
        if best is None:
            continue
        finding = _too_coarse(values, best, abs(least), sign) or _of_one_epoch(values, best)
        if finding is None:
            continue
        what, advice = finding
        return Finding(
            f"`EarlyStopping` ended the training after {len(values)} of {planned} epochs: "
            f"`{metric}` {what}.",
            steps=span(trace.steps.step),
            severity=Severity.WARNING,
            evidence={"values": (sign * values).tolist(), "patience": patience, "min_delta": least},
            advice=advice,
            location=place(told),
        )
    return None


def _too_coarse(values: FloatArray, best: int, least: float, sign: float) -> tuple[str, str] | None:
    """What to say of a metric that got better in each epoch, but by less than `min_delta`."""
    gain = float(values[best] - values[-1])
    if not least or not (np.diff(values[best:]) < 0.0).all() or gain < _GAIN * _left(values[best]):
        return None
    begin, end = sign * values[best], sign * values[-1]
    return (
        f"went on getting better, from {begin:.3g} to {end:.3g} in its last {len(values) - best} "
        f"epochs, but by less than `min_delta={least:g}`",
        "`min_delta` is a difference of the metric's own values: leave it at 0, or take a hundredth"
        " of what an epoch brings, and give it a `patience` of some epochs.",
    )


def _of_one_epoch(values: FloatArray, best: int) -> tuple[str, str] | None:
    """What to say of a metric that got better steadily until one epoch was a little worse."""
    gains = -np.diff(values[: best + 1])[-_BEFORE:]
    if len(values) - best != 2 or len(gains) < _BEFORE or (gains <= 0.0).any():
        return None
    worse = float(values[-1] - values[best])
    typical = float(np.mean(gains))
    if not 0.0 < worse < _BUMP * typical:
        return None
    return (
        f"got better by {typical:.2g} an epoch, and the first that was worse, by {worse:.2g}, was "
        "the last",
        "Metrics go up and down from epoch to epoch: give `EarlyStopping` a `patience` of 5 to 10 "
        "epochs, and `restore_best_weights=True`.",
    )


def _left(value: float) -> float:
    """How much better the value of a metric (lower is better) can still become, at most."""
    return 1.0 + value if -1.0 <= value < 0.0 else abs(value)


def _ended_after(values: FloatArray, patience: int, least: float) -> int | None:
    """The epoch that the callback took for the best when it ended the training with the last of
    these values, where lower is better; None if it did not, as something else ended it.
    """
    best, waited = 0, 0
    for epoch, value in enumerate(values[1:].tolist(), 1):
        waited += 1
        if value + least < values[best]:
            best, waited = epoch, 0
        elif waited >= patience:
            return best if epoch == len(values) - 1 else None
    return None


def _of_last_fit(trace: Trace, metric: str) -> FloatArray:
    """The values of a metric in the epochs of the last `fit`; empty if one of them is missing."""
    found: list[float] = []
    for event in trace.events_of(EventKind.EPOCH):
        values = event.payload.get("metrics")
        if not isinstance(values, dict):
            continue
        if not count(event.payload, "epoch"):
            found = []
        value = number(values, metric)
        found.append(np.nan if value is None else value)
    whole = np.array(found, dtype=np.float64)
    return whole if np.isfinite(whole).all() else np.empty(0)
