"""When training was harmed by non-finite values, and when it went on as if they had never been."""

from collections.abc import Sequence

from nntrace.rules.common.loss_course import loss_series
from nntrace.rules.numerics.origins import Origin
from nntrace.rules.numerics.sites import Broken, broken_sites, site_told
from nntrace.schema import EventKind, Role
from nntrace.trace import Trace

LASTING = (Role.PARAM, Role.UPDATE, Role.OUTPUT)  # what is broken there stays broken


def is_hidden(trace: Trace, origin: Origin) -> bool:
    """Whether training went on with finite losses, as if the broken value had never been.

    A step made from a broken gradient would have broken the losses after it.
    """
    by_gradient = origin.seen_in == "gradient"
    last = int(trace.steps.step[-1]) if len(trace.steps) else -1
    return (
        (by_gradient or origin.seen_in == "loss")
        and origin.where != "update"
        and not origin.in_evaluation
        and last >= origin.step + by_gradient
        and first_harm(trace, lasting=by_gradient) is None
    )


def _are_repaired(trace: Trace, broken: Sequence[Broken]) -> bool:
    """Whether all are gradients inside the model that hold NaN and never reached a parameter."""
    events = [e.payload for e in trace.events_of(EventKind.NONFINITE) if e.payload.get("nan")]
    told = {e.get("site") for e in events if e.get("role") == Role.ACTIVATION_GRAD}
    inside = all(b.site.role is Role.ACTIVATION_GRAD and b.site.path in told for b in broken)
    return inside and bool(trace.sites_of(Role.PARAM_GRAD))


def _masked(trace: Trace) -> set[int]:
    """The ids of predictions and frozen parameters with infinities but no NaN.

    While the loss is finite, such infinities are classes that the program forbids, or constants
    that it forbids them with.
    """
    told = [e for e in trace.events_of(EventKind.NONFINITE) if e.payload.get("nan") is False]
    sites = [named for event in told if (named := site_told(trace, event)) is not None]
    return {site.id for site in sites if site.role is Role.OUTPUT or site.requires_grad is False}


def first_harm(trace: Trace, *, lasting: bool = False) -> int | None:
    """The first step at which the loss, predictions, gradients or parameters were not finite.

    Args:
        lasting: leave out gradients, which the program may have discarded.
    """
    loss_from = loss_series(trace).nonfinite_from
    masked = _masked(trace)
    broken = [
        b
        for b in broken_sites(trace)
        if (b.site.role in LASTING or (b.site.role.is_backward and not lasting))
        and (b.site.id not in masked or (loss_from is not None and b.step >= loss_from))
    ]
    if loss_from is None and _are_repaired(trace, broken):
        return None
    harm = [b.step for b in broken]
    if loss_from is not None:
        harm.append(loss_from)
    return min(harm, default=None)
