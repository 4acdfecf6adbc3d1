"""The sites that a non-finite value reached, in the order in which a step computes them."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from nntrace.schema import PLACE_IN_STEP, EventKind, Role
from nntrace.trace import Trace

_LAST: Final = 10**9  # after every place and every id


@dataclass(frozen=True, slots=True)
class Reached:
    """The sites of one role that were first seen not to be finite at the same step.

    Attributes:
        step: the first sampled step at which their sample held a NaN or an infinity.
        role: what they are: `activation`, `param_grad`, ….
        paths: in the order of execution, for gradients backwards; `(root)` for the model itself.
    """

    step: int
    role: str
    paths: tuple[str, ...]


def reached(trace: Trace) -> tuple[Reached, ...]:
    """All sites at which non-finite values were seen, by step and, in the order of a step, role."""
    seen = sorted(_seen(trace))
    return tuple(
        Reached(step, role, tuple(path for *_, path in group))
        for (step, _, role), group in groupby(seen, key=lambda one: one[:3])
    )


def _seen(trace: Trace) -> Iterator[tuple[int, int, str, int, str]]:
    """Of each site its step, its role's place and name, its own place, and its path."""
    known = {site.id: site for site in trace.sites}
    for event in trace.events_of(EventKind.NONFINITE):
        site = None if event.site is None else known.get(event.site)
        role = str(event.payload.get("role", "")) if site is None else site.role.value
        path = str(event.payload.get("site", "")) if site is None else site.path
        place, along = _place_of_late(role) if site is None else site.place_in_step
        yield event.step, place, role, along, path or "(root)"


def _place_of_late(role: str) -> tuple[int, int]:
    """The place of a site that is only named: it was met after all that the table has."""
    known = next((one for one in Role if one == role), None)
    if known is None:
        return _LAST, 0
    return PLACE_IN_STEP[known], -_LAST if known.is_backward else _LAST
