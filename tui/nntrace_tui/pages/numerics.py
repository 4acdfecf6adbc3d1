"""The story of a NaN: what grew before it, where it came from, and where it spread.

While everything is finite: how far the largest values are from the limits of their types.
"""

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from nntrace.rules import Finding
from nntrace.schema import EventKind, Role
from nntrace.trace import Site, Trace
from nntrace.trace.model import FloatArray, IntArray
from nntrace_tui.pages.curve import Curve, curve, step_curve

_FAMILY: Final = "NUM"
_LARGEST: Final = {"float16": 65504.0, "bfloat16": 3.39e38, "float32": 3.4e38, "float64": 1.79e308}
_SITES_SHOWN: Final = 20
_SAMPLES_BEFORE: Final = 40


@dataclass(frozen=True, slots=True)
class Struck:
    """A site and the step at which its sample was first seen not finite."""

    step: int
    role: str
    path: str


@dataclass(frozen=True, slots=True)
class Growing:
    """A site's largest absolute value: now (or last, before the NaN), and over time.

    `headroom` is log10 of its type's limit over that value.
    """

    path: str
    role: str
    dtype: str
    largest: float
    growth: float
    headroom: float
    history: Curve


@dataclass(frozen=True, slots=True)
class NumericsPage:
    """Attributes:
    first_step: of the first value that was not finite; None while all are.
    story: facts that the recorder wrote down about it, in order: (name, text).
    """

    first_step: int | None
    loss: Curve
    grad_norm: Curve
    struck: tuple[Struck, ...]
    growing: tuple[Growing, ...]
    story: tuple[tuple[str, str], ...]
    findings: tuple[Finding, ...]


def numerics_page(trace: Trace, findings: tuple[Finding, ...]) -> NumericsPage:
    """What is known of values that are not finite, or of how near that is."""
    loss = step_curve(trace, "loss")
    struck = _struck(trace)
    steps = [first.step for first in struck]
    if loss.first_nonfinite_step is not None:
        steps.append(loss.first_nonfinite_step)
    first = min(steps, default=None)
    return NumericsPage(
        first_step=first,
        loss=loss,
        grad_norm=step_curve(trace, "grad_norm"),
        struck=struck,
        growing=_growing(trace, first),
        story=_story(trace),
        findings=tuple(finding for finding in findings if finding.code.startswith(_FAMILY)),
    )


def _struck(trace: Trace) -> tuple[Struck, ...]:
    known = {site.id: site for site in trace.sites}
    found = []
    for event in trace.events_of(EventKind.NONFINITE):
        site = known.get(event.site) if event.site is not None else None
        role = event.payload.get("role") or (site.role if site else "")
        path = event.payload.get("site") or (site.path if site else "")
        found.append(Struck(event.step, str(role), str(path)))
    return tuple(sorted(found, key=lambda struck: struck.step)[:_SITES_SHOWN])


def _story(trace: Trace) -> tuple[tuple[str, str], ...]:
    """What events say of the first non-finite value beyond its site: op, line, operands."""
    for event in trace.events_of(EventKind.NONFINITE):
        facts = [
            (str(name).replace("_", " "), _text(value))
            for name, value in event.payload.items()
            if name not in ("role", "site") and value not in (None, "", [], {})
        ]
        if facts:
            return tuple(facts)
    return ()


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return ", ".join(_text(item) for item in value)
    if isinstance(value, dict):
        return " · ".join(f"{key} {_text(item)}" for key, item in value.items())
    return str(value)


def _growing(trace: Trace, first: int | None) -> tuple[Growing, ...]:
    """The sites whose values are the nearest to their type's limit, or grew most before the NaN."""
    steps = trace.sampled_steps
    rows = np.flatnonzero(steps < first) if first is not None else np.arange(len(steps))
    if not len(rows):
        rows = np.arange(len(steps))
    rows = rows[-_SAMPLES_BEFORE:] if first is not None else rows
    found = [
        row
        for role in (Role.ACTIVATION, Role.ACTIVATION_GRAD, Role.PARAM_GRAD, Role.PARAM)
        for row in _of_role(trace, role, rows)
    ]
    if first is None:
        found.sort(key=lambda row: row.headroom)
    else:
        found.sort(key=lambda row: -row.growth)
    return tuple(found[:_SITES_SHOWN])


def _of_role(trace: Trace, role: Role, rows: IntArray) -> list[Growing]:
    sites = trace.sites_of(role)
    if not sites or not len(rows):
        return []
    largest = np.fmax(
        np.abs(trace.series(role, "min")[rows]), np.abs(trace.series(role, "max")[rows])
    )
    steps = trace.sampled_steps[rows].astype(np.float64)
    return [
        row
        for column, site in enumerate(sites)
        if (row := _growth(site, steps, largest[:, column])) is not None
    ]


def _growth(site: Site, steps: FloatArray, largest: FloatArray) -> Growing | None:
    known = np.flatnonzero(np.isfinite(largest))
    if not len(known):
        return None
    values = largest[known]
    last, before = float(values[-1]), float(np.median(values))
    limit = _LARGEST.get(site.dtype, _LARGEST["float32"])
    return Growing(
        path=site.path,
        role=site.role.value,
        dtype=site.dtype,
        largest=last,
        growth=last / before if before > 0 else 1.0,
        headroom=math.log10(limit / last) if last > 0 else math.inf,
        history=curve(steps[known], values, 30),
    )
