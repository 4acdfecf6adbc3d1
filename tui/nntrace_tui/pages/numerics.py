"""The history of a NaN: its origin, what grew before it, and which sites it reached.

While everything is finite: how far the largest values are from the limits of their types.
"""

import math
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from nntrace.rules import Finding
from nntrace.rules.numerics.origin_story import story
from nntrace.rules.numerics.origins import origins
from nntrace.rules.numerics.spread import Reached, reached
from nntrace.schema import Role
from nntrace.trace import Site, Trace
from nntrace.trace.model import FloatArray, IntArray
from nntrace_tui.pages.curve import Curve, curve, step_curve

_FAMILY: Final = "NUM"
_LARGEST: Final = {"float16": 65504.0, "bfloat16": 3.39e38, "float32": 3.4e38, "float64": 1.79e308}
_SITES_SHOWN: Final = 20
_SAMPLES_BEFORE: Final = 40
_CURVE_BUCKETS: Final = 30
_GROWING: Final = (Role.ACTIVATION, Role.ACTIVATION_GRAD, Role.PARAM_GRAD, Role.PARAM)


@dataclass(frozen=True, slots=True)
class Growing:
    """A site's largest absolute value: the latest (or the last before the NaN), and over time.

    `growth` is that value over the median of the samples; `headroom` is log10 of the type's limit
    over that value.
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
    """What is known of non-finite values, or of how close the finite ones are to their limits.

    Attributes:
        first_step: the step of the first value that was not finite; None while all are.
        loss, grad_norm: these values before that step; over the whole run while all are finite.
        story: the origin of that value, as (name, text): operation, line, operands.
    """

    first_step: int | None
    loss: Curve
    grad_norm: Curve
    reached: tuple[Reached, ...]
    growing: tuple[Growing, ...]
    story: tuple[tuple[str, str], ...]
    findings: tuple[Finding, ...]


def numerics_page(trace: Trace, findings: tuple[Finding, ...]) -> NumericsPage:
    """Build the page, for a run with values that are not finite or without any."""
    loss = step_curve(trace, "loss")
    spread = reached(trace)
    steps = [some.step for some in spread] + [origin.step for origin in origins(trace)]
    if loss.first_nonfinite_step is not None:
        steps.append(loss.first_nonfinite_step)
    first = min(steps, default=None)
    return NumericsPage(
        first_step=first,
        loss=_before(loss, first),
        grad_norm=_before(step_curve(trace, "grad_norm"), first),
        reached=spread,
        growing=_growing(trace, first),
        story=story(trace),
        findings=tuple(finding for finding in findings if finding.code.startswith(_FAMILY)),
    )


def _before(whole: Curve, first: int | None) -> Curve:
    """The points before the step `first`; all of them if that is None."""
    count = len(whole.steps) if first is None else bisect_left(whole.steps, first)
    return Curve(whole.steps[:count], whole.values[:count])


def _growing(trace: Trace, first: int | None) -> tuple[Growing, ...]:
    """Return the sites nearest to their type's limit or, after a NaN, that grew most before it."""
    steps = trace.sampled_steps
    rows = np.arange(len(steps))
    if first is not None:
        rows = rows[steps < first][-_SAMPLES_BEFORE:]
    found = [row for role in _GROWING for row in _of_role(trace, role, rows)]
    found.sort(key=lambda row: row.headroom if first is None else -row.growth)
    at = steps[rows].astype(np.float64)
    return tuple(_with_history(row, at) for row in found[:_SITES_SHOWN])


@dataclass(frozen=True, slots=True, eq=False)
class _Size:
    """A site's largest absolute values over the samples."""

    site: Site
    values: FloatArray
    largest: float
    growth: float
    headroom: float


def _of_role(trace: Trace, role: Role, rows: IntArray) -> Iterator[_Size]:
    """Yield the sizes of all sites of a role, computed together: there may be thousands."""
    sites = trace.sites_of(role)
    if not sites or not len(rows):
        return
    ends = trace.series(role, "min")[rows], trace.series(role, "max")[rows]
    largest = np.fmax(np.abs(ends[0]), np.abs(ends[1]))
    finite = np.isfinite(largest)
    seen = np.flatnonzero(finite.any(axis=0))
    last = len(rows) - 1 - np.argmax(finite[::-1], axis=0)
    middles = np.nanmedian(np.where(finite, largest, np.nan)[:, seen], axis=0)
    for column, middle in zip(seen.tolist(), middles.tolist(), strict=True):
        now = float(largest[last[column], column])
        limit = _LARGEST.get(sites[column].dtype, _LARGEST["float32"])
        yield _Size(
            sites[column],
            largest[:, column],
            now,
            now / middle if middle > 0 else 1.0,
            math.log10(limit / now) if now > 0 else math.inf,
        )


def _with_history(size: _Size, steps: FloatArray) -> Growing:
    known = np.isfinite(size.values)
    return Growing(
        path=size.site.path,
        role=size.site.role.value,
        dtype=size.site.dtype,
        largest=size.largest,
        growth=size.growth,
        headroom=size.headroom,
        history=curve(steps[known], size.values[known], _CURVE_BUCKETS),
    )
