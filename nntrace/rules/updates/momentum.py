"""Averages of the gradient that keep a direction long after the gradient has left it."""

from collections.abc import Mapping
from typing import Any, Final

from nntrace.rules.common.payloads import number, place, text
from nntrace.rules.finding import Finding, Severity
from nntrace.schema import EventKind, RunStatus
from nntrace.trace import Trace

_LONG: Final = 200  # steps that an average of the gradient lasts: a momentum of 0.995
_PART: Final = 0.1  # of the run
_LONG_BEFORE_SQUARES: Final = 100  # steps, if the squares of the gradient are forgotten sooner
_LEAST: Final = 100  # steps; shorter runs are not judged
_TINY: Final = 1e-9  # against rounding of 1 / (1 - momentum)


def long_average(trace: Trace) -> Finding | None:
    """The finding if an optimizer averages gradients over too many steps; else None.

    Also if Adam forgets the squares of gradients sooner than their mean.
    """
    steps = len(trace.steps)
    for event in trace.events_of(EventKind.OPTIMIZER) if steps >= _LEAST else ():
        payload, pair = event.payload, _pair(event.payload)
        kept = pair[0] if pair else number(payload, "momentum")
        if kept is None or not 0.0 <= kept < 1.0:
            continue
        lasts = 1.0 / (1.0 - kept) + _TINY
        is_exchanged = pair is not None and _breaks_bound(*pair) and lasts >= _LONG_BEFORE_SQUARES
        is_long = lasts >= _LONG and lasts > _PART * steps
        if not is_exchanged and (not is_long or trace.status is RunStatus.RUNNING):
            continue
        kind, setting = text(payload, "class") or "the optimizer", f"a momentum of {kept:g}"
        why, advice = f"of a run of {steps}", "Set `momentum=0.9`."
        if pair is not None:
            setting, advice = f"`betas=({pair[0]:g}, {pair[1]:g})`", "Set `betas=(0.9, 0.999)`."
            if is_exchanged:
                why = f"and scales it by the last {1.0 / (1.0 - pair[1]):.0f} alone"
        return Finding(
            f"{kind} with {setting} averages the gradient over about {lasts:.0f} steps {why}: "
            "updates keep their direction long after the gradient has turned.",
            steps=(int(trace.steps.step[0]), int(trace.steps.step[-1])),
            severity=Severity.WARNING,
            evidence={"momentum": kept, "steps_averaged": lasts},
            location=place(payload),
            advice=advice,
        )
    return None


def _pair(payload: Mapping[str, Any]) -> tuple[float, float] | None:
    """Adam's betas: the share of its two averages that it keeps at each step; None if unknown."""
    if "adam" not in text(payload, "class").lower():
        return None
    first, second = number(payload, "beta1"), number(payload, "beta2")
    return None if first is None or second is None else (first, second)


def _breaks_bound(first: float, second: float) -> bool:
    """Whether β₁² / √β₂ ≥ 1: theorem 4.1 of Kingma & Ba (2015) assumes that it is less."""
    return 0.0 <= second < 1.0 and first**2 >= second**0.5 and first > second
