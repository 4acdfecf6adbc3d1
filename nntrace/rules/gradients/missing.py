"""GRD03: parameters that no gradient reaches, and where it gets lost."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated

import numpy as np

from nntrace.paths import enclosing
from nntrace.rules.common.alternatives import chosen_at_times
from nntrace.rules.common.cut_graph import CUT, CUT_IN_KERAS
from nntrace.rules.common.framework import speaks_keras
from nntrace.rules.common.layers import (
    by_design,
    columns,
    is_used_by_its_owner,
    named,
    of_a_library,
    sampled_span,
    switched_off,
)
from nntrace.rules.common.optimizers import backward_line
from nntrace.rules.common.payloads import number, place, text
from nntrace.rules.finding import Finding, Severity, Skipped, too_few
from nntrace.rules.rule import rule
from nntrace.schema import EventKind, Role
from nntrace.trace import Event, Site, Trace
from nntrace.trace.model import BoolArray, FloatArray

_LONG = 0.2  # of the run's steps without any gradient
_MINOR = 0.01  # of the elements of all parameters: an option of a model that is not in use


@rule(
    "GRD03",
    "no-gradient",
    Severity.ERROR,
    needs=(Role.PARAM_GRAD, Role.UPDATE),
    explains=("GRD04", "LOS07", "LOS11", "LOS12", "LOS14"),
    advice="Look between these parameters and the loss for `.detach()`, `.item()`, `.numpy()`, "
    "`torch.no_grad()`, an argmax, an output that is not passed on, or a `checkpoint` with "
    "`use_reentrant=True` of an input without a gradient. If they are meant to stay fixed, set "
    "requires_grad to False.",
    in_keras="Look for `stop_gradient`, `.numpy()`, an argmax, a rounding or a cast to integers "
    "between these parameters and the loss. If they are meant to stay fixed, set `trainable = "
    "False`.",
)
def no_gradient(
    trace: Trace,
    *,
    samples: Annotated[int, "sampled steps without any gradient"] = 5,
) -> Iterator[Finding | Skipped]:
    """Trainable parameters that an optimizer holds never received a gradient.

    They keep their random initial values while the rest learns around them. An error if their
    module takes part in the forward pass (the graph is cut after it). A warning if it is never
    called, or if they are a hundredth of all that is trained, in modules of which the rest learns
    (an option that is not in use). Information if it is never called and an installed library built
    it, or if it is a minor part of what a library built, such as BERT's pooler under a mean of the
    tokens.

    If no parameter has a gradient, the gradients of the layers' outputs show why: if there are any,
    gradients are cleared before the optimizer acts; if not, the loss does not depend on the model.

    An error, too, where all gradients end in the middle of the run while the optimizer steps on;
    and, with PyTorch, where what a loss function returned is added to the loss as a number
    (`.item()`, `.detach()`), so that nothing learns from it. That is told by what is left of the
    loss without the terms in its graph: one factor times these results.

    Left out are parameters

    - of layers among which each step chooses (experts) that were not chosen: RUN05 judges these
    - that no optimizer holds, such as a target network's, unless a tape was asked for their
      gradients
    - that change all the same, and not by weight decay: the program steps them in a way of its own,
      as TRPO does its policy
    - of a module that a frozen parameter of its own, a mask of zeros, holds at zero

    Source: "37 reasons", 19 (frozen or disconnected layers).
    """
    for event in trace.events_of(EventKind.ATTACHED):
        if text(event.payload, "what") == "number":
            yield _as_a_number(event)
            return
    sites = trace.sites_of(Role.PARAM_GRAD)
    looked = columns(trace, Role.PARAM_GRAD, "n", sites)
    held = np.isfinite(columns(trace, Role.UPDATE, "n", sites)).sum(axis=0)
    held += [site.requires_grad is True for site in sites]  # the program asked for its gradient
    times = np.isfinite(looked).sum(axis=0)
    if (times if times.size else np.zeros(1)).max() < samples:
        yield too_few(f"needs {samples} sampled steps")
        return
    missing = (times >= samples) & (held > 0) & (np.nan_to_num(looked, nan=0.0).max(axis=0) == 0)
    if missing.any() and missing[(times >= samples) & (held > 0)].all():
        yield _without_any(trace, [sites[index] for index in np.flatnonzero(missing)])
        return
    if (stopped := _stopped(trace, sites, looked[:, held > 0], samples)) is not None:
        yield stopped
        return
    masked = switched_off(trace)
    missing &= ~_moved(trace, sites) & [site.parent not in masked for site in sites]
    called = _called_prefixes(trace)
    is_alternative = chosen_at_times(trace)
    silent = [site for site, never in zip(sites, missing, strict=True) if never]
    heard = [site for site, never in zip(sites, missing, strict=True) if not never]
    parents = {site.parent for site in silent}
    called |= {path for path in parents if is_used_by_its_owner(path, called, parents)}
    for is_called in (True, False):
        blamed = [
            site
            for site in silent
            if (site.parent in called) is is_called
            and (is_called or not is_alternative(site.parent))
        ]
        if not blamed:
            continue
        paths = [site.path for site in blamed]
        why = (
            "though their layers are part of the forward pass"
            if is_called
            else "and their layers were not seen in the forward pass"
        )
        yield Finding(
            f"{len(blamed)} of {len(sites)} parameters never received a gradient, {why}: "
            f"{named(paths)}.",
            site=blamed[0],
            steps=sampled_span(trace),
            severity=_severity(blamed, heard, sites, is_called=is_called),
            evidence={"parameters": paths},
        )


def _severity(
    blamed: Sequence[Site], heard: Sequence[Site], sites: Sequence[Site], *, is_called: bool
) -> Severity:
    """An error if they are called, but for minor parts of what a library built and for options.

    `heard` are the parameters that have a gradient, `sites` all of them.
    """
    elements = sum(site.numel for site in blamed)
    is_part = by_design(blamed, heard)
    is_librarys = is_part or of_a_library(blamed)
    of_libraries = sum(site.numel for site in sites if of_a_library([site]))
    is_aside = is_part or (is_librarys and 2 * elements < of_libraries)
    learning = _around(site.parent for site in heard)
    is_option = elements < _MINOR * sum(site.numel for site in sites)
    is_option = is_option and learning.issuperset(site.parent for site in blamed)
    if is_called and not (is_aside or is_option):
        return Severity.ERROR
    return Severity.INFO if is_librarys else Severity.WARNING


def _as_a_number(event: Event) -> Finding:
    function = text(event.payload, "function")
    return Finding(
        f"what `{function}` returns is added to the loss as a number, "
        f"{number(event.payload, 'weight') or 0.0:.3g} times it: it shows in the loss, and nothing "
        "learns from it.",
        steps=(event.step, event.step),
        advice=f"Add the tensor that `{function}` returned, without `.item()`, `.detach()`, "
        "`float(...)` or `torch.tensor(...)` around it.",
        location=place(event.payload),
    )


def _moved(trace: Trace, sites: Sequence[Site]) -> BoolArray:
    """Mark the parameters that change from sample to sample, not by weight decay.

    What no gradient reaches then has another master: TRPO's policy is stepped along a line by hand,
    a momentum encoder follows its student.
    """
    decaying = {site.path for site in trace.sites_of(Role.UPDATE) if site.weight_decay}
    size = columns(trace, Role.PARAM, "rms", sites)
    changes = np.fmax.reduce(size, axis=0) > np.fmin.reduce(size, axis=0)
    return np.asarray(changes & [site.path not in decaying for site in sites], dtype=np.bool_)


def _without_any(trace: Trace, blamed: list[Site]) -> Finding:
    """The finding for the case that no parameter held by an optimizer has a gradient."""
    arrived = trace.series(Role.ACTIVATION_GRAD, "rms")
    if (arrived > 0.0).any():
        message = (
            "no parameter has a gradient when the optimizer steps, though the backward pass "
            "computes them: they are cleared in between."
        )
        advice = (
            "Call `zero_grad()` before `loss.backward()` or after `optimizer.step()`, not between."
        )
    else:
        message = (
            "no parameter ever received a gradient: the loss that is differentiated does not "
            "depend on the model's parameters."
        )
        advice = CUT_IN_KERAS if speaks_keras(trace) else CUT
    return Finding(
        message,
        site=blamed[0],
        steps=sampled_span(trace),
        evidence={"parameters": [site.path for site in blamed]},
        location=backward_line(trace),
        advice=advice,
    )


def _stopped(
    trace: Trace, sites: Sequence[Site], looked: FloatArray, samples: int
) -> Finding | None:
    """The finding where from some step on no parameter has a gradient any more.

    Args:
        looked: elements of each gradient [sampled step, parameter]; 0 where there was none.
    """
    steps = trace.sampled_steps
    with_any = np.flatnonzero(np.nan_to_num(looked, nan=0.0).max(axis=1, initial=0.0) > 0)
    was_seen = np.flatnonzero(np.isfinite(looked).any(axis=1))
    if not len(with_any):
        return None
    since = int(with_any[-1]) + 1
    late = was_seen[was_seen >= since]
    if len(late) < samples or 1 + steps[-1] - steps[late[0]] < _LONG * len(trace.steps):
        return None
    return Finding(
        f"no parameter has received a gradient since step {steps[late[0]]}: from then on the "
        "optimizer steps for nothing.",
        site=sites[0],
        steps=(int(steps[late[0]]), int(steps[-1])),
        evidence={"steps_with_gradients": int(steps[late[0]])},
        location=backward_line(trace),
        advice="See what came before that step: gradients that were switched off for an evaluation "
        "(`torch.set_grad_enabled(False)`, `no_grad`) and not switched on again, or parameters "
        "that were frozen. Setting `requires_grad` on the loss only silences the error that would "
        "say so.",
    )


def _called_prefixes(trace: Trace) -> set[str]:
    """Paths of the modules that returned an activation, and of all modules around them."""
    return _around(site.path for site in trace.sites_of(Role.ACTIVATION))


def _around(paths: Iterable[str]) -> set[str]:
    """The paths, and those of all modules around them."""
    found: set[str] = set()
    for path in paths:
        while path not in found:
            found.add(path)
            path = enclosing(path)
    return found
