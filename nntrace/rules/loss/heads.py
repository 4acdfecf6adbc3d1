"""Rules on whether the output layer and the loss function belong together."""

from collections.abc import Iterable, Iterator
from typing import Annotated

from nntrace.rules.common.calls import REGRESSION, LossCall, loss_calls
from nntrace.rules.common.chance import (
    BINARY,
    CROSS_ENTROPY,
    is_of,
    loss_inputs,
    loss_location,
    training_batches,
)
from nntrace.rules.common.framework import speaks_keras
from nntrace.rules.common.signals import median, span
from nntrace.rules.finding import Finding, Severity, Skipped
from nntrace.rules.loss.alignment import is_aligned, unspellable
from nntrace.rules.loss.signs import without_signs
from nntrace.rules.rule import rule
from nntrace.schema import EventKind, Role
from nntrace.trace import Batch, Trace

_LOGIT_BINARY = "binary_cross_entropy_with_logits"
_OUT_OF_RANGE = "all elements of input should be between 0 and 1"  # PyTorch's own words
_ROUNDING = 1e-3
_ROWS = 2  # axes of targets that hold a row for each example
_SEVERAL = 1.2  # ones in a row of the targets, on average
_FOR_LABELS_IN_KERAS = (
    'For independent labels let the model end in a sigmoid and take `"binary_crossentropy"`; for '
    "exclusive ones give one class for each example."
)
_FOR_LABELS = (
    "For independent labels take `binary_cross_entropy_with_logits` (`BCEWithLogitsLoss`), and 0 "
    "as the threshold of a logit; for exclusive ones give one class for each example."
)
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
    positives and 0.69 for negatives. Logits instead of probabilities are clipped and get no
    gradient. Recognised by the operation that made the predictions or, if that is not known, by
    values that never leave [0, 1]. Keras on TensorFlow uses the logits before a sigmoid layer
    whatever it is told, which is right and not reported.
    Source: "37 reasons", 15 and 20; PyTorch's documentation of `BCEWithLogitsLoss`.
    """
    calls = [call for call in loss_calls(trace) if call.function in BINARY and not call.is_paired]
    if not calls:
        yield Skipped("no binary cross-entropy was called")
        return
    given, told = loss_inputs(trace), set()
    for call in calls:
        seen = [b for b in given.get(call.path, ()) if b.output_min is not None]
        inside = [b for b in seen if _within(b, 0.0, 1.0)]
        evidence = {
            "output_min": min((b.output_min or 0.0 for b in seen), default=None),
            "output_max": max((b.output_max or 0.0 for b in seen), default=None),
        }
        if call.function == _LOGIT_BINARY:
            known = call.head in ("sigmoid", "softmax") and len(inside) == len(seen)
            guessed = call.head is None and len(seen) >= batches and len(inside) == len(seen)
            if not known and not guessed:
                continue
            message = (
                f"`{call.path}` receives probabilities, not logits: its own "
                f"sigmoid maps them to 0.5 … 0.73 (the model ends in {call.head or 'a sigmoid'})."
            )
        else:
            if not any(_beyond(b, 0.0, 1.0) for b in seen) or _has_other_targets(seen):
                continue
            known = True
            message = (
                f"`{call.path}` receives values from {evidence['output_min']:.3g} to "
                f"{evidence['output_max']:.3g}: logits, not probabilities."
            )
        if call.path in told:
            continue
        told.add(call.path)
        yield Finding(
            message,
            site=trace.site(call.path, Role.OUTPUT),
            steps=span([batch.step for batch in seen]),
            severity=None if known else Severity.WARNING,
            evidence=evidence,
            location=call.location,
        )
    if not told and _OUT_OF_RANGE in (trace.manifest.error or ""):
        last = int(trace.steps.step[-1])
        yield Finding(
            "the run ended because `binary_cross_entropy` received values outside [0, 1].",
            steps=(last, last),
            location=loss_location(trace, "binary_cross_entropy"),
        )


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
) -> Iterator[Finding | Skipped]:
    """The range of the output activation leaves out targets: they can never be predicted.

    A sigmoid or tanh before wider targets, a ReLU before negative ones (by the 1 % and 99 %
    quantiles of the targets), a softmax over a single unit, which is always 1, or a ReLU before a
    binary cross-entropy on logits, whose probabilities then never fall below 0.5. A warning for a
    ReLU before a cross-entropy on logits, which stops the gradient of every logit that it cuts off.
    And, with PyTorch's `ctc_loss`, labels that no path through the frames can spell: the blank
    among the labels, or more labels than frames (for more than a tenth of the examples), which are
    often lengths that were mixed up.
    Source: "37 reasons", 15 and 20 (loss function and its input), 27 (check the output layer);
    Graves et al. 2006, Connectionist Temporal Classification, 3.
    """
    yield from unspellable(trace)
    calls = [call for call in loss_calls(trace) if call.head or call.shape]
    if not calls:
        if not is_aligned(trace):
            yield Skipped("the operation that made the predictions is not known")
        return
    told: set[str] = set()
    for call in calls:
        problem = _one_class(call) or _half_line(call)
        evidence: dict[str, float | str] = {"head": call.head or "linear"}
        if not problem and call.function in REGRESSION and call.head in _RANGES:
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
                steps=span([batch.step for batch in training_batches(trace)]),
                severity=Severity.WARNING if _has_cut_logits(call) else None,
                evidence=evidence,
                location=call.location,
            )


@rule(
    "LOS06",
    "loss-and-head-disagree",
    Severity.WARNING,
    explains=("LOS07", "LOS11", "LOS14", "UPD02", "UPD08"),
    advice="For exclusive classes take cross-entropy on raw logits; for independent labels "
    "a binary cross-entropy on logits, one per label, without a softmax.",
)
def loss_and_head_disagree(trace: Trace) -> Iterator[Finding | Skipped]:
    """The loss function is made for another kind of output than that of the head.

    Squared or absolute error on a softmax classifier with one-hot targets (its gradient vanishes
    where the model is most wrong), cross-entropy between exclusive classes on independent
    sigmoids, a binary loss on a softmax. With Keras on TensorFlow also a cross-entropy or
    divergence whose arguments are exchanged (Keras takes the targets first). And a cross-entropy
    between exclusive classes whose targets have several ones for an example, unless they have the
    form of the input, as counts that are reconstructed. With PyTorch also labels of 0 and 1 where
    a loss function wants -1 and 1 (`margin_ranking_loss`, `cosine_embedding_loss`,
    `hinge_embedding_loss`, `soft_margin_loss`). Soft targets, as in distillation and
    consistency training, are left alone.
    Source: "37 reasons", 15 and 20; Goodfellow et al., Deep Learning, 6.2.2.
    """
    if signs := trace.events_of(EventKind.SIGNS):
        yield without_signs(signs[0])
        return
    announced = loss_calls(trace)
    if exchanged := [call for call in announced if call.is_exchanged]:
        yield _exchanged(trace, exchanged[0])
        return
    if several := _of_several_classes(trace):
        yield several
        return
    calls = [call for call in announced if call.head]
    if not calls:
        yield Skipped("the operation that made the predictions is not known")
        return
    told: set[str] = set()
    for call in calls:
        width = call.head_width or (call.shape[-1] if call.shape else 0)
        is_softmax = call.head == "softmax" and width > 1
        classes = call.shape[1] if call.shape and len(call.shape) > 1 else width
        exclusive = call.function in CROSS_ENTROPY and call.head == "sigmoid" and classes > 1
        if call.function in REGRESSION and is_softmax and _is_one_hot(trace, call, width):
            problem = f"`{call.path}` compares a softmax with one-hot classes"
        elif call.function in BINARY and is_softmax:
            problem = f"`{call.path}`, for independent labels, receives a softmax"
        elif exclusive:
            problem = f"`{call.path}`, for exclusive classes, receives independent sigmoids"
        else:
            continue
        if call.path in told:
            continue
        told.add(call.path)
        yield Finding(
            f"{problem} over {width} outputs.",
            site=trace.site(call.path, Role.OUTPUT),
            steps=span([batch.step for batch in training_batches(trace)]),
            evidence={"loss_function": call.function, "head": call.head, "outputs": width},
            location=call.location,
        )


def _of_several_classes(trace: Trace) -> Finding | None:
    """The finding on rows of zeros and ones, most with several ones, for exclusive classes."""
    inputs = [site.shape for site in trace.sites_of(Role.INPUT)]
    for path, batches in loss_inputs(trace).items():
        site = trace.site(path, Role.TARGET)
        is_exclusive = any(is_of(path, name) for name in CROSS_ENTROPY)
        if not is_exclusive or site is None or len(site.shape) != _ROWS or site.shape in inputs:
            continue
        width = site.shape[-1]
        means = [b.target_mean for b in batches if _is_binary(b) and b.classes == width]
        rows = [mean * width for mean in means if mean is not None]
        if not rows or len(rows) < len(batches) or min(rows) < _SEVERAL:
            continue
        return Finding(
            f"`{path}`, for exclusive classes, is given targets with {median(rows):.2g} ones for "
            "an example.",
            site=site,
            steps=(batches[0].step, batches[-1].step),
            severity=Severity.ERROR,
            explains=("LOS01", "LOS08", "LOS10", "LOS12", "LOS22"),
            evidence={"ones": median(rows), "batches": len(rows)},
            advice=_FOR_LABELS_IN_KERAS if speaks_keras(trace) else _FOR_LABELS,
            location=loss_location(trace, path),
        )
    return None


def _is_binary(batch: Batch) -> bool:
    """Whether the targets of a batch are zeros and ones."""
    mean, std = batch.target_mean, batch.target_std
    if mean is None or std is None or (batch.target_min, batch.target_max) != (0.0, 1.0):
        return False
    return bool(abs(std**2 - mean * (1 - mean)) < _ROUNDING)


def _exchanged(trace: Trace, call: LossCall) -> Finding:
    return Finding(
        f"`{call.path}` is given its arguments in the wrong order: the model's output for the "
        "targets, and the targets for the predictions.",
        site=trace.site(call.path, Role.OUTPUT),
        steps=span([batch.step for batch in training_batches(trace)]),
        severity=Severity.ERROR,
        evidence={"loss_function": call.function},
        location=call.location,
        advice="Keras' losses take the targets first: `loss(y_true, y_pred)`.",
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
    shape = call.shape or ()
    if call.function in ("cross_entropy", "nll_loss") and len(shape) > 1 and shape[1] == 1:
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


def _is_one_hot(trace: Trace, call: LossCall, width: int) -> bool:
    """Whether targets are only zeros and ones, with a single one per row."""
    known = [
        (b.target_mean, b.target_std)
        for b in loss_inputs(trace).get(call.path, ())
        if b.target_mean is not None
        and b.target_std is not None
        and b.target_min == 0.0
        and b.target_max == 1.0
    ]
    return bool(known) and all(
        abs(std**2 - mean * (1 - mean)) < 1e-3 and abs(mean * width - 1) < 0.2
        for mean, std in known
    )
