"""Numeric rules: where a non-finite value first appeared, and where a NaN is hidden or comes early.

An `origin` event names the operation; without one, the first site that broke is named.
"""

from collections.abc import Iterator
from typing import Annotated

from nntrace.rules.common.chance import loss_functions, loss_location, training_batches
from nntrace.rules.common.loss_course import loss_series
from nntrace.rules.common.signals import finite
from nntrace.rules.finding import Finding, Severity, Skipped
from nntrace.rules.numerics.harm import LASTING, first_harm, is_hidden
from nntrace.rules.numerics.origin_advice import advice_on
from nntrace.rules.numerics.origin_words import sentence
from nntrace.rules.numerics.origins import Origin, located_origins, origins, site_of
from nntrace.rules.numerics.sites import advice, before, broken_sites, unseen, where
from nntrace.rules.rule import rule
from nntrace.schema import PLACE_OF_LOSS, EventKind, Role
from nntrace.trace import Trace

_INSIDE = (Role.ACTIVATION, Role.ACTIVATION_GRAD)
_FORWARD = ("forward", "data", "weights")
_SYMPTOMS = ("LOS07", "LOS12", "ACT07", "GRD04", "PAR02", "UPD06", "NUM08", "NUM09")
# Faults that act by updates, or by inputs that are large: not in a first step on ordinary inputs.
_OF_LEARNING = ("ACT03", "DAT04", "DAT05", "GRD02", "GRD06", "LOS08", "UPD01", "UPD07")
_ORDINARY = 10.0  # from inputs within this range no usual initialisation leads to exp(±88)
# Faults that make values grow; they do not explain an operation undefined at ordinary values.
_OF_GROWTH = ("ACT03", "GRD02", "GRD06", "INI02", "LOS01", "LOS08", "NUM05", "UPD01", "UPD07")


@rule(
    "NUM01",
    "nonfinite-forward",
    Severity.ERROR,
    explains=_SYMPTOMS,
    advice="Look for a division, logarithm, square root or exponential there whose argument can "
    "reach zero or overflow; add an epsilon, clamp, or use the fused loss on logits.",
)
def nonfinite_forward(trace: Trace) -> Iterator[Finding | Skipped]:
    """A NaN or an infinity reached the predictions, the loss, a gradient or a parameter.

    If the step could be replayed, the rule names the first operation whose result was not finite
    though its operands were, with its line and its operands. Otherwise it names the first such site
    in the order of execution, which is where to look: everything after it is infected. Infinities
    that stay inside the model (attention masks, and frozen parameters that hold them) are not
    reported. A warning if only gradients were
    hit and never a parameter or the loss, or if only evaluations were.
    Source: "37 reasons", 36 (NaN appears within the first hundred iterations) and 37.
    """
    found = located_origins(trace)
    harmful = [origin for origin in found if not is_hidden(trace, origin)]
    if found:
        first = harmful[0] if harmful else None
        if first is not None and first.where in _FORWARD:
            yield _finding(trace, first)
        if harmful or first_harm(trace, lasting=True) is None:
            return
    yield from _by_site(trace)


def _broke_in_update(trace: Trace) -> bool:
    """Whether the first non-finite sample is that of an update, all before it being finite."""
    start = first_harm(trace)
    at_start = [b for b in broken_sites(trace) if b.step == start]
    return bool(at_start) and min(at_start, key=lambda b: b.place).site.role is Role.UPDATE


def _by_site(trace: Trace) -> Iterator[Finding]:
    """The finding that follows from samples alone, without an origin."""
    broken = broken_sites(trace)
    start = first_harm(trace)
    if start is None:
        return
    loss_from = loss_series(trace).nonfinite_from
    last = int(trace.steps.step[-1])
    lasting_harm = loss_from is not None or any(b.site.role in LASTING for b in broken)
    severity = Severity.ERROR if lasting_harm else Severity.WARNING
    evidence = {"first_step": start, "sites": len(broken), "loss_nonfinite_from": loss_from}
    at_start = sorted((b for b in broken if b.step == start), key=lambda b: b.place)
    after_loss = bool(at_start) and at_start[0].place[0] > PLACE_OF_LOSS
    if not at_start or (start == loss_from and after_loss):
        functions = loss_functions(training_batches(trace))
        yield Finding(
            f"the loss is not finite from step {start} on. {unseen(trace, broken, start)}",
            steps=(start, last),
            evidence=evidence,
            location=loss_location(trace, functions[0]) if functions else None,
        )
        return
    first = at_start[0]
    share = "" if first.fraction is None else f" ({first.fraction:.1%} of its sampled elements)"
    yield Finding(
        f"step {start}: {where(first.site)} is the first value that is not finite{share}; "
        f"{before(first.site.role)}.",
        site=first.site,
        steps=(start, last),
        severity=severity,
        evidence={
            **evidence,
            "role": first.site.role.value,
            "module_type": first.site.module_type,
            "nonfinite_fraction": first.fraction,
        },
        advice=advice(first.site.role),
    )


@rule(
    "NUM02",
    "nonfinite-loss",
    Severity.ERROR,
    explains=_SYMPTOMS,
    advice="Compute the loss in one stable function on logits, and guard empty batches.",
)
def nonfinite_loss(trace: Trace) -> Iterator[Finding]:
    """The predictions are finite, but the loss computed from them is not.

    Names the first operation whose result is not finite, in the loss function or between the
    model's output and `backward`.
    Source: "37 reasons", 37.
    """
    yield from _first(trace, "loss")


@rule(
    "NUM03",
    "nonfinite-backward",
    Severity.ERROR,
    explains=(*_SYMPTOMS, "NUM04"),
    advice="Look for a square root, norm, power or logarithm at zero, or a `where` around one.",
)
def nonfinite_backward(trace: Trace) -> Iterator[Finding]:
    """The loss is finite but a gradient is not: a function was differentiated where it cannot be.

    Names the line of the forward pass whose derivative is the first that is not finite: square
    roots and norms at zero, powers, `acos` at its ends, the branch of `where` not taken.
    Source: `torch.autograd.detect_anomaly`, which raises at such values.
    """
    yield from _first(trace, "backward")


@rule(
    "NUM04",
    "nonfinite-update",
    Severity.ERROR,
    explains=(*_SYMPTOMS, "NUM01"),
    advice="Set the optimizer's epsilon above 0, lower the learning rate, and clip gradients.",
)
def nonfinite_update(trace: Trace) -> Iterator[Finding]:
    """The gradients are finite, but a parameter after the optimizer's step is not.

    Found at the next loss, from the optimizer's state: an epsilon of 0 under a gradient that was
    always 0, an infinite learning rate, moments that have overflowed. In Keras, where the state is
    not examined, found in a sampled step with finite gradients and a non-finite update.
    Source: Kingma & Ba, "Adam", 2015, algorithm 1: epsilon keeps the quotient finite.
    """
    yield from _first(trace, "update")
    if not located_origins(trace) and _broke_in_update(trace):
        yield from _by_site(trace)


@rule(
    "NUM08",
    "nonfinite-hidden",
    Severity.WARNING,
    advice="Repair the operation instead of hiding its result: its gradient may still be NaN, and "
    "batches that are skipped are not learned from.",
)
def nonfinite_hidden(trace: Trace) -> Iterator[Finding]:
    """A NaN never reached the optimizer: it was masked downstream, or its batch was skipped.

    Either a loss was not finite and no optimizer step was made from it, or a layer's output or the
    gradient at it held a NaN while predictions, loss and the gradients of all parameters were
    finite (`nan_to_num`, `where`).
    Source: TensorFlow's `tf.debugging.enable_check_numerics`, which stops at such values.
    """
    for origin in origins(trace):
        if is_hidden(trace, origin):
            message = (
                f"{sentence(trace, origin)}. No update was made from it: the batch was skipped"
            )
            yield _finding(trace, origin, message)
            return
    if first_harm(trace) is not None or origins(trace):
        return
    for event in trace.events_of(EventKind.NONFINITE):
        role = event.payload.get("role")
        if role in _INSIDE and event.payload.get("nan") is True:
            site = trace.site(str(event.payload.get("site")), role)
            if site is not None:
                yield Finding(
                    f"step {event.step}: {where(site)} holds NaN, and the layers after it do not.",
                    site=site,
                    steps=(event.step, event.step),
                )
                return


@rule(
    "NUM09",
    "early-nan",
    Severity.ERROR,
    advice="Divide the learning rate by ten, normalise the input to mean 0 and standard "
    "deviation 1, and clip gradients; then look at the operation that NUM01, NUM02 or NUM03 names.",
)
def early_nan(
    trace: Trace,
    *,
    early: Annotated[int, "steps from the start of the run that count as early"] = 100,
) -> Iterator[Finding]:
    """A value is not finite within the first hundred steps: mostly the learning rate or the input.

    Reports both. Not judged if another cause is known: the data, loaded weights, the optimizer, or
    an operation at a point where it has no value, however small the numbers are (a mean of nothing,
    a division by zero, a derivative at a singular point); nor if it broke in the first step, when
    no update had been made, on inputs within ±10.
    Source: "37 reasons", 36: "NaNs early in training: decrease the learning rate, check inputs".
    """
    start = first_harm(trace)
    if start is None or start - int(trace.steps.step[0]) >= early:
        return
    found = located_origins(trace)
    is_known = (
        found[0].where not in ("forward", "loss")
        or found[0].is_singular
        or _is_of_the_program(trace, found[0])
        if found
        else _broke_in_update(trace)
    )
    if is_known:
        return
    rates = finite(trace.steps.lr)
    rate = float(rates[0]) if len(rates) else None
    largest = _largest_input(trace)
    parts = [] if rate is None else [f"the learning rate is {rate:g}"]
    parts += [] if largest is None else [f"the input reaches ±{largest:.3g}"]
    told = f": {' and '.join(parts)}" if parts else ""
    yield Finding(
        f"a value is not finite after {start - int(trace.steps.step[0])} steps{told}. This early "
        "in a run, the likely cause is a learning rate ten times too large or an unscaled input.",
        steps=(start, int(trace.steps.step[-1])),
        evidence={"first_step": start, "lr": rate, "largest_input": largest},
    )


def _first(trace: Trace, place: str) -> Iterator[Finding]:
    """Yield the finding for the first harmful origin, if it was at this place."""
    harmful = [o for o in located_origins(trace) if not is_hidden(trace, o)]
    if harmful and harmful[0].where == place:
        yield _finding(trace, harmful[0])


def _finding(trace: Trace, origin: Origin, message: str = "") -> Finding:
    last = int(trace.steps.step[-1]) if len(trace.steps) else origin.step
    spared = origin.in_evaluation and first_harm(trace) is None
    return Finding(
        f"{message or sentence(trace, origin)}.",
        site=site_of(trace, origin),
        steps=(origin.step, max(origin.step, last)),
        evidence=origin.evidence,
        severity=Severity.WARNING if spared else None,
        advice=advice_on(origin),
        location=origin.location,
        not_explained_by=_impossible_causes(trace, origin),
    )


def _impossible_causes(trace: Trace, origin: Origin) -> tuple[str, ...]:
    """The rules that cannot be the cause: data and singular operations need no growing values."""
    if origin.is_singular or origin.where == "data":
        return _OF_GROWTH
    return _OF_LEARNING if _is_of_the_program(trace, origin) else ()


def _is_of_the_program(trace: Trace, origin: Origin) -> bool:
    """Whether an operation broke in the first step though its inputs were ordinary numbers."""
    is_first = len(trace.steps) > 0 and origin.step == int(trace.steps.step[0])
    if not is_first or origin.is_overflow or origin.where not in ("forward", "loss"):
        return False
    largest = _largest_input(trace, until=origin.step)
    return largest is not None and largest <= _ORDINARY


def _largest_input(trace: Trace, until: int | None = None) -> float | None:
    """The largest absolute value in sampled inputs, up to a step; None if none were sampled."""
    ends = (
        max(abs(batch.input_min), abs(batch.input_max))
        for batch in trace.batches
        if batch.input_min is not None and batch.input_max is not None
        if until is None or batch.step <= until
    )
    return max(ends, default=None)
