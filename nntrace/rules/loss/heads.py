"""Rules on whether the values that the output layer can make are those the loss function wants."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated

from nntrace.rules.common.calls import REGRESSION, LossCall, loss_calls
from nntrace.rules.common.chance import (
    BINARY,
    CROSS_ENTROPY,
    batch_span,
    loss_inputs,
    loss_location,
)
from nntrace.rules.common.payloads import number, text
from nntrace.rules.common.signals import median, span
from nntrace.rules.finding import Finding, Severity, Skipped
from nntrace.rules.loss.alignment import is_aligned, unspellable
from nntrace.rules.loss.bounded import bounded_logits, passed_two_sigmoids
from nntrace.rules.loss.declared import contradicted
from nntrace.rules.rule import rule
from nntrace.schema import EventKind, Role
from nntrace.trace import Batch, Trace

_LOGIT_BINARY = "binary_cross_entropy_with_logits"
_OUT_OF_RANGE = "all elements of input should be between 0 and 1"  # PyTorch's own words
_ONE_OF_THEM = "Leave `from_logits` out, or let the model end without the sigmoid."
_ROUNDING = 1e-3
_RANGES = {
    "sigmoid": (0.0, 1.0),
    "softmax": (0.0, 1.0),
    "tanh": (-1.0, 1.0),
    "relu": (0.0, float("inf")),
    "softplus": (0.0, float("inf")),
    "exp": (0.0, float("inf")),
}


@rule(
    "LOS04",
    "sigmoid-logit-mismatch",
    Severity.ERROR,
    explains=("LOS01", "LOS05", "LOS07", "LOS11", "LOS12", "LOS14", "GRD01", "UPD02", "UPD08"),
    advice="Remove the sigmoid from the model and keep `binary_cross_entropy_with_logits`: it is "
    "the stable form.",
    in_keras="Say `from_logits=True` for a model that ends without a sigmoid, and leave it out "
    "for one that ends in a sigmoid.",
)
def sigmoid_logit_mismatch(
    trace: Trace,
    *,
    batches: Annotated[int, "sampled batches that are needed to judge by values alone"] = 10,
) -> Iterator[Finding | Skipped]:
    """A binary cross-entropy on logits receives probabilities, or one on probabilities logits.

    Two sigmoids in a row keep the output between 0.5 and 0.73: the loss cannot fall below 0.31 for
    positives and 0.69 for negatives. It is the same if the program takes both before the loss,
    which shows in probabilities that fill this range and never leave it. Logits instead of
    probabilities are clipped and get no gradient. Recognised by the operation that made the
    predictions or, if that is not known, by values that never leave [0, 1].

    A loss of Keras on TensorFlow uses the logits before a sigmoid layer whatever it is told. A
    warning there if it is told `from_logits=True`, though the run is right.

    Source: "37 reasons", 15 and 20; PyTorch's documentation of `BCEWithLogitsLoss`.
    """
    wrong = tuple(contradicted(trace, BINARY, "sigmoid", _ONE_OF_THEM))
    yield from wrong
    calls = [call for call in loss_calls(trace) if call.function in BINARY and not call.is_paired]
    if not calls:
        if not wrong:
            yield Skipped("no binary cross-entropy was called")
        return
    given, told = loss_inputs(trace), set()
    for call in calls:
        seen = [b for b in given.get(call.path, ()) if b.output_min is not None]
        misfit = None if call.path in told else _misfit(call, seen, batches)
        if misfit is None:
            continue
        told.add(call.path)
        received, is_sure = misfit
        yield Finding(
            f"`{call.path}` receives {received}",
            site=trace.site(call.path, Role.OUTPUT),
            steps=span([batch.step for batch in seen]),
            severity=None if is_sure else Severity.WARNING,
            evidence={
                "output_min": min((b.output_min or 0.0 for b in seen), default=None),
                "output_max": max((b.output_max or 0.0 for b in seen), default=None),
            },
            location=call.location,
        )
    if not told and _OUT_OF_RANGE in (trace.manifest.error or ""):
        last = int(trace.steps.step[-1])
        yield Finding(
            "the run ended because `binary_cross_entropy` received values outside [0, 1].",
            steps=(last, last),
            location=loss_location(trace, "binary_cross_entropy"),
        )


def _misfit(call: LossCall, seen: Sequence[Batch], batches: int) -> tuple[str, bool] | None:
    """What a binary cross-entropy receives in place of what it expects, and whether it is sure.

    Values alone leave a doubt; they are judged from `batches` sampled batches on.
    """
    if call.function == _LOGIT_BINARY:
        ends_so = call.head in ("sigmoid", "softmax")
        may_end_so = call.head is None and len(seen) >= batches
        if not (ends_so or may_end_so) or not all(_within(b, 0.0, 1.0) for b in seen):
            return None
        head = call.head or "a sigmoid"
        return (
            "probabilities, not logits: its own sigmoid maps them to 0.5 … 0.73 (the model ends in "
            f"{head}).",
            ends_so,
        )
    if passed_two_sigmoids(seen):
        return (
            "what passed two sigmoids: it fills 0.5 … 0.73 and never leaves that, so that no "
            "answer can be sure.",
            True,
        )
    if _has_other_targets(seen) or not any(_beyond(b, 0.0, 1.0) for b in seen):
        return None
    lowest = min(b.output_min or 0.0 for b in seen)
    highest = max(b.output_max or 0.0 for b in seen)
    return f"values from {lowest:.3g} to {highest:.3g}: logits, not probabilities.", True


def _has_other_targets(batches: Iterable[Batch]) -> bool:
    """Whether targets are not probabilities, so that another loss is needed, not another head."""
    return any((b.target_min or 0.0) < 0.0 or (b.target_max or 0.0) > 1.0 for b in batches)


@rule(
    "LOS05",
    "head-cannot-reach-targets",
    Severity.ERROR,
    explains=("DAT13", "LOS07", "LOS11", "LOS12", "LOS14", "ACT04", "ACT05", "GRD04"),
    advice="End the model in a linear layer, or scale the targets into the range of its last "
    "activation; for classes give the head one output per class.",
)
def head_cannot_reach_targets(
    trace: Trace,
    *,
    margin: Annotated[
        float, "reach of targets beyond the range, relative to its width or their spread"
    ] = 0.05,
    real: Annotated[
        float, "share of a discriminator's real values beyond the range of its generator"
    ] = 0.02,
) -> Iterator[Finding | Skipped]:
    """The range of the output activation leaves out targets: they can never be predicted.

    Reported are

    - a sigmoid or tanh before wider targets, and a ReLU before negative ones (by the 1 % and 99 %
      quantiles of the targets, into which no gradient flows)
    - a single unit for a softmax or a cross-entropy between classes, to which it is always right
    - a ReLU before a binary cross-entropy on logits, whose probabilities then never fall below 0.5
    - with PyTorch's `ctc_loss`, labels that no path through the frames can spell: the blank among
      the labels, or more labels than frames, which are often lengths that were mixed up

    and as warnings

    - a ReLU before a cross-entropy on logits, which stops the gradient of every logit that it cuts
      off
    - logits that training pushes against a bound of 1 (cosines or a tanh without a scale), and
      cosines that a scale makes smaller still (divided by it, or multiplied by a temperature)
    - with PyTorch, real examples that a discriminator is given, outside of the tanh or sigmoid that
      its generator ends in: no generated one ever looks like them

    Source: "37 reasons", 15 and 20 (loss function and its input), 27 (check the output layer);
    Graves et al. 2006, Connectionist Temporal Classification, 3; Wang et al. 2017, NormFace, 3.2.
    """
    yield from unspellable(trace)
    yield from _ungenerable(trace, real)
    told: set[str] = set()
    received = loss_inputs(trace)
    for call in loss_calls(trace):
        if bounded := bounded_logits(trace, call, received.get(call.path, ())):
            told.add(call.path)
            yield bounded
    calls = [call for call in loss_calls(trace) if call.head or call.shape]
    if not calls:
        if not told and not is_aligned(trace):
            yield Skipped("the operation that made the predictions is not known")
        return
    for call in calls:
        problem = _one_class(call) or _half_line(call)
        evidence: dict[str, float | str] = {"head": call.head or "linear"}
        is_judged = call.function in REGRESSION and not call.has_learned_target
        if not problem and is_judged and call.head in _RANGES:
            reached = _targets(trace, call.path)
            if reached is None:
                yield Skipped(f"the targets of `{call.path}` were not recorded")
                continue
            problem = _beyond_range(call.head, *reached, margin)
            evidence |= {"target_q01": reached[0], "target_q99": reached[1]}
        if problem and call.path not in told:
            told.add(call.path)
            yield Finding(
                problem,
                site=trace.site(call.path, Role.OUTPUT),
                steps=batch_span(trace),
                severity=Severity.WARNING if _has_cut_logits(call) else None,
                evidence=evidence,
                location=call.location,
            )


def _ungenerable(trace: Trace, share: float) -> Iterator[Finding]:
    for event in trace.events_of(EventKind.GENERATED):
        head, beyond = text(event.payload, "head"), number(event.payload, "beyond") or 0.0
        if head not in _RANGES or beyond <= share:
            continue
        low, high = _RANGES[head]
        least, most = (number(event.payload, key) or 0.0 for key in ("least", "most"))
        yield Finding(
            f"the generator ends in {head}, whose range is [{low:g}, {high:g}], but {beyond:.0%} "
            f"of the real values that the discriminator is given lie outside of it (they reach "
            f"from {least:.3g} to {most:.3g}).",
            steps=(0, event.step),
            severity=Severity.WARNING,
            evidence={"head": head, "share": beyond, "least": least, "most": most},
            advice=f"Scale the real examples to [{low:g}, {high:g}] (images in [0, 1] by "
            "`2 * x - 1` for tanh), or end the generator in what covers their range.",
        )


def _within(batch: Batch, low: float, high: float) -> bool:
    least, most = batch.output_min, batch.output_max
    return least is not None and most is not None and least >= low and most <= high + _ROUNDING


def _beyond(batch: Batch, low: float, high: float) -> bool:
    least, most = batch.output_min, batch.output_max
    return (least is not None and least < low - _ROUNDING) or (
        most is not None and most > high + _ROUNDING
    )


def _one_class(call: LossCall) -> str:
    """The problem of a softmax over one unit, in the head or inside the loss; else empty."""
    if call.head == "softmax" and call.head_width == 1:
        return "the head is a softmax over a single unit: it is 1 whatever the input."
    classes = call.shape[1] if call.shape and len(call.shape) > 1 else call.head_width
    if call.function in CROSS_ENTROPY and classes == 1:
        return f"`{call.function}` has a single class to choose from: the loss is always 0."
    return ""


def _half_line(call: LossCall) -> str:
    if call.function == _LOGIT_BINARY and call.head in ("relu", "softplus", "exp"):
        return (
            f"logits come out of {call.head} and are never negative: no probability falls below "
            "0.5."
        )
    if _has_cut_logits(call):
        return (
            f"the logits of `{call.path}` come out of relu: a class whose logit is cut off at 0 "
            "gets no gradient that could raise it."
        )
    return ""


def _has_cut_logits(call: LossCall) -> bool:
    """Whether the logits of exclusive classes come out of a ReLU."""
    return call.function == "cross_entropy" and call.head == "relu"


def _targets(trace: Trace, path: str) -> tuple[float, float] | None:
    """The 1 % and the 99 % quantiles of the targets; None if they were not recorded."""
    site = trace.site(path, Role.TARGET)
    if site is None:
        return None
    low, high = (median(trace.series(Role.TARGET, q, site)) for q in ("q01", "q99"))
    return (low, high) if low == low and high == high else None


def _beyond_range(head: str, low: float, high: float, margin: float) -> str:
    least, most = _RANGES[head]
    width = most - least if most < float("inf") else max(high - low, abs(low))
    if low >= least - margin * width and high <= most + margin * width:
        return ""
    end = f"{most:g}]" if most < float("inf") else "∞)"
    return (
        f"the model ends in {head}, whose range is [{least:g}, {end}, but targets reach from "
        f"{low:.3g} to {high:.3g}."
    )
