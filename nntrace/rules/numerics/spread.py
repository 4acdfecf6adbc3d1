"""The sites that a non-finite value reached, in the order in which values flow through a step."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from nntrace.schema import EventKind, Role
from nntrace.trace import Site, Trace

# A step goes forward through the model, backward through it, and ends with the update.
_FLOW: Final = (
    Role.INPUT,
    Role.TARGET,
    Role.ACTIVATION,
    Role.ATTENTION,
    Role.RUNNING_NORM,
    Role.OUTPUT,
    Role.ACTIVATION_GRAD,
    Role.PARAM_GRAD,
    Role.UPDATE,
    Role.PARAM,
)
_PLACE: Final = {role.value: place for place, role in enumerate(_FLOW)}
_BACKWARD: Final = frozenset({Role.ACTIVATION_GRAD.value, Role.PARAM_GRAD.value})


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
    """All sites at which non-finite values were seen, by step and role, in the order of flow."""
    seen = sorted(_seen(trace))
    return tuple(
        Reached(step, role, tuple(path for *_, path in group))
        for (step, _, role), group in groupby(seen, key=lambda one: one[:3])
    )


def _seen(trace: Trace) -> Iterator[tuple[int, int, str, int, str]]:
    """Of each site its step, its role's place and name, its own place in the flow, and its path."""
    known: dict[int | None, tuple[int, Site | None]] = {
        site.id: (place, site) for place, site in enumerate(trace.sites)
    }
    for event in trace.events_of(EventKind.NONFINITE):
        place, site = known.get(event.site, (len(known), None))
        role = str(event.payload.get("role", "")) if site is None else site.role.value
        path = str(event.payload.get("site", "")) if site is None else site.path
        along = -place if role in _BACKWARD else place  # sites are in the order of execution
        yield event.step, _PLACE.get(role, len(_FLOW)), role, along, path or "(root)"
