"""Numeric rules: the first value that is not finite, by site."""

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow.compute as pc

from nntrace.rules.chance import loss_functions, loss_location, training_batches
from nntrace.rules.finding import Finding, Severity, Skipped
from nntrace.rules.rule import rule
from nntrace.rules.signals import loss_series
from nntrace.schema import EventKind, Role
from nntrace.trace import Site, Trace

# The order in which one optimizer step computes them. Parameters come first: their values are
# those before the step. Within a role gradients arrive in the reverse order of the sites.
_ORDER = {
    Role.PARAM: 0,
    Role.INPUT: 1,
    Role.TARGET: 1,
    Role.ACTIVATION: 2,
    Role.OUTPUT: 3,
    Role.ACTIVATION_GRAD: 4,
    Role.PARAM_GRAD: 5,
    Role.UPDATE: 6,
}
_BACKWARD = (Role.ACTIVATION_GRAD, Role.PARAM_GRAD)
_HARMFUL = (*_BACKWARD, Role.OUTPUT, Role.UPDATE, Role.PARAM)
_EARLY_STEPS = 100


@dataclass(frozen=True, slots=True)
class _Broken:
    """A site, the first step at which its sample was not finite, and which fraction was not."""

    site: Site
    step: int
    fraction: float | None

    @property
    def order(self) -> tuple[int, int]:
        number = -self.site.id if self.site.role in _BACKWARD else self.site.id
        return _ORDER[self.site.role], number


@rule(
    "NUM01",
    "nonfinite-forward",
    Severity.ERROR,
    explains=("LOS07", "LOS12", "ACT07", "GRD04", "PAR02", "UPD06"),
    advice="Look for a division, logarithm, square root or exponential there whose argument can "
    "reach zero or overflow; add an epsilon, clamp, or use the fused loss on logits.",
)
def nonfinite_forward(trace: Trace) -> Iterator[Finding | Skipped]:
    """A NaN or an infinity reached the predictions, the loss, a gradient or a parameter.

    Names the first site in the order of execution, which is where to look: everything after it
    is infected. Infinities that stay inside the model (attention masks) are not blamed. A warning
    when only gradients were hit and no parameter and no loss ever was.
    Source: "37 reasons", 36 (NaN appears within the first hundred iterations) and 37.
    """
    broken = _broken_sites(trace)
    loss_from = loss_series(trace).nonfinite_from
    harm = [b.step for b in broken if b.site.role in _HARMFUL]
    if loss_from is not None:
        harm.append(loss_from)
    if not harm:
        return
    start, last = min(harm), int(trace.steps.step[-1])
    early = start - int(trace.steps.step[0]) < _EARLY_STEPS
    hint = " So early in training, a learning rate ten times too large is likely." if early else ""
    lasting_harm = loss_from is not None or any(
        b.site.role in (Role.PARAM, Role.UPDATE, Role.OUTPUT) for b in broken
    )
    severity = Severity.ERROR if lasting_harm else Severity.WARNING
    evidence = {"first_step": start, "sites": len(broken), "loss_nonfinite_from": loss_from}
    at_start = sorted((b for b in broken if b.step == start), key=lambda b: b.order)
    if not at_start or (start == loss_from and _ORDER[at_start[0].site.role] > 3):
        functions = loss_functions(training_batches(trace))
        yield Finding(
            f"the loss is not finite from step {start} on. {_unseen(trace, broken, start)}{hint}",
            steps=(start, last),
            evidence=evidence,
            location=loss_location(trace, functions[0]) if functions else None,
        )
        return
    first = at_start[0]
    share = "" if first.fraction is None else f" ({first.fraction:.1%} of its sampled elements)"
    yield Finding(
        f"step {start}: {_where(first.site)} is the first value that is not finite{share}; "
        f"{_before(first.site.role)}.{hint}",
        site=first.site,
        steps=(start, last),
        severity=severity,
        evidence={
            **evidence,
            "role": first.site.role.value,
            "module_type": first.site.module_type,
            "nonfinite_fraction": first.fraction,
        },
        advice=_advice(first.site.role),
    )


def _broken_sites(trace: Trace) -> list[_Broken]:
    """Every site whose sample was ever not finite, from statistics and events."""
    known = {site.id: site for site in trace.sites}
    found: dict[int, _Broken] = {}
    rows = trace.table("stats").select(["step", "site", "nonfinite_fraction"])
    for row in rows.filter(pc.field("nonfinite_fraction") > 0.0).sort_by("step").to_pylist():
        site = known.get(row["site"])
        if site is not None and site.id not in found:
            found[site.id] = _Broken(site, row["step"] or 0, row["nonfinite_fraction"])
    for event in trace.events_of(EventKind.NONFINITE):
        named = _site_of(trace, event.site, event.payload)
        if named and (named.id not in found or event.step < found[named.id].step):
            found[named.id] = _Broken(named, event.step, None)
    return list(found.values())


def _site_of(trace: Trace, number: int | None, payload: dict[str, object]) -> Site | None:
    path, role = payload.get("site"), payload.get("role")
    if isinstance(path, str) and role in set(Role):
        return trace.site(path, str(role))
    return next((site for site in trace.sites if site.id == number), None)


def _unseen(trace: Trace, broken: list[_Broken], start: int) -> str:
    """What is known of a step whose forward pass was not sampled, or was clean."""
    if start in trace.sampled_steps:
        return "All sampled activations and predictions of that step are finite: look at the loss."
    after = sorted((b for b in broken if b.step > start), key=lambda b: (b.step, b.order))
    if not after:
        return "That step was not sampled: run with `--every 1` to see where it begins."
    return (
        f"That step was not sampled; at step {after[0].step} {_where(after[0].site)} is not "
        "finite. Run with `--every 1` to see where it begins."
    )


def _where(site: Site) -> str:
    what = {
        Role.ACTIVATION: "the output of",
        Role.ACTIVATION_GRAD: "the gradient at the output of",
        Role.PARAM: "the parameter",
        Role.PARAM_GRAD: "the gradient of",
        Role.UPDATE: "the update of",
        Role.INPUT: "the input",
        Role.TARGET: "the target of",
        Role.OUTPUT: "the prediction given to",
    }[site.role]
    name = f"`{site.path}`" if site.path else "the model"
    return f"{what} {name}" + (f" ({site.module_type})" if site.module_type else "")


def _before(role: Role) -> str:
    if role is Role.PARAM:
        return "it was so before this step, so that an earlier, unsampled step broke it"
    if role in _BACKWARD:
        return "the forward pass is finite, only gradients are not"
    if role is Role.UPDATE:
        return "the gradients are finite, the optimizer's update is not"
    if role in (Role.INPUT, Role.TARGET):
        return "it came in from the data"
    return "the outputs recorded before it are finite: it broke here, or in code between the two"


def _advice(role: Role) -> str:
    if role in (Role.INPUT, Role.TARGET):
        return "Check the data for missing values, and the scaling for a division by a zero std."
    if role in _BACKWARD:
        return (
            "Look for a square root, norm or logarithm at zero, or `where` around one: its value "
            "is finite, its derivative is not. Add the epsilon inside."
        )
    if role in (Role.PARAM, Role.UPDATE):
        return "Lower the learning rate, clip gradients, and check the optimizer's epsilon."
    return ""
