"""The sites whose samples were not finite, by step and in the order a step computes them.

Without an origin this is all that is known: which site broke first, not which operation.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from nntrace.schema import EventKind, Role
from nntrace.trace import Event, Site, Trace
from nntrace.trace.decode import floats


@dataclass(frozen=True, slots=True)
class Broken:
    """A site, the first step at which its sample was not finite, and the non-finite fraction."""

    site: Site
    step: int
    fraction: float | None

    @property
    def place(self) -> tuple[int, int]:
        """The site's place in the order of a step's computation: smaller is earlier."""
        return self.site.place_in_step


def broken_sites(trace: Trace) -> list[Broken]:
    """Every site whose sample was ever non-finite, from statistics and events."""
    known = {site.id: site for site in trace.sites}
    found: dict[int, Broken] = {}
    rows = trace.table("stats").select(["step", "site", "nonfinite_fraction"])
    bad = np.flatnonzero(floats(rows, "nonfinite_fraction") > 0.0)
    for row in rows.take(pa.array(bad)).sort_by("step").to_pylist():
        site = known.get(row["site"])
        if site is not None and site.id not in found:
            found[site.id] = Broken(site, row["step"] or 0, row["nonfinite_fraction"])
    for event in trace.events_of(EventKind.NONFINITE):
        named = site_told(trace, event)
        if named and (named.id not in found or event.step < found[named.id].step):
            found[named.id] = Broken(named, event.step, None)
    return list(found.values())


def site_told(trace: Trace, event: Event) -> Site | None:
    """The site that an event of a non-finite value names, or None."""
    path, role = event.payload.get("site"), event.payload.get("role")
    if isinstance(path, str) and role in set(Role):
        return trace.site(path, str(role))
    return next((site for site in trace.sites if site.id == event.site), None)


def unseen(trace: Trace, broken: list[Broken], start: int) -> str:
    """Say what is known of a step whose forward pass was not sampled, or was finite."""
    seen = [site for site in trace.sites if site.role in (Role.ACTIVATION, Role.OUTPUT)]
    if start in trace.sampled_steps and not seen:
        return (
            "Nothing of the forward pass is seen in this run: look at the loss, and what it is of."
        )
    if start in trace.sampled_steps:
        return "All sampled activations and predictions of that step are finite: look at the loss."
    after = sorted((b for b in broken if b.step > start), key=lambda b: (b.step, b.place))
    if not after:
        return "That step was not sampled: run with `--every 1` to see where it begins."
    return (
        f"That step was not sampled; at step {after[0].step} {where(after[0].site)} is not "
        "finite. Run with `--every 1` to see where it begins."
    )


def where(site: Site) -> str:
    """The site as a noun phrase."""
    what = {
        Role.ACTIVATION: "the output of",
        Role.ACTIVATION_GRAD: "the gradient at the output of",
        Role.PARAM: "the parameter",
        Role.PARAM_GRAD: "the gradient of",
        Role.UPDATE: "the update of",
        Role.INPUT: "the input",
        Role.TARGET: "the target of",
        Role.OUTPUT: "the prediction given to",
        Role.ATTENTION: "the attention of",
        Role.RUNNING_NORM: "the normalised input of",
    }[site.role]
    name = f"`{site.path}`" if site.path else "the model"
    return f"{what} {name}" + (f" ({site.module_type})" if site.module_type else "")


def before(role: Role) -> str:
    """What is known of the values before the first broken one, as a clause."""
    if role is Role.PARAM:
        return (
            "it was not finite before this step: an earlier step, which was not sampled, broke it"
        )
    if role.is_backward:
        return "the forward pass is finite, only gradients are not"
    if role is Role.UPDATE:
        return "the gradients are finite, the optimizer's update is not"
    if role in (Role.INPUT, Role.TARGET):
        return "it came in from the data"
    return "the outputs recorded before it are finite: it broke here, or in code between the two"


def advice(role: Role) -> str:
    """Advice on the first broken site, by its role; empty if the rule's own advice fits."""
    if role in (Role.INPUT, Role.TARGET):
        return "Check the data for missing values, and the scaling for a division by a zero std."
    if role.is_backward:
        return (
            "Look for a square root, norm or logarithm at zero, or a `where` around one: its "
            "value is finite, its derivative is not. Add the epsilon inside."
        )
    if role in (Role.PARAM, Role.UPDATE):
        return (
            "Lower the learning rate, clip gradients, and check the optimizer's epsilon. In "
            "Keras the gradients of a sampled step are computed a second time: one that is "
            "infinite at a single point, such as an arc cosine's at 1, may have been non-finite "
            "the first time only."
        )
    return ""
