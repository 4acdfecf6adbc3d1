"""Whether the loss function is made for the kind of output and targets that it is given."""

from collections.abc import Iterator

from nntrace.rules.common.calls import REGRESSION, LossCall, loss_calls
from nntrace.rules.common.chance import (
    BINARY,
    CROSS_ENTROPY,
    batch_span,
    has_zeros_and_ones,
    is_of,
    loss_inputs,
    loss_location,
)
from nntrace.rules.common.framework import speaks_keras
from nntrace.rules.common.payloads import number, place, text
from nntrace.rules.common.signals import median
from nntrace.rules.finding import Finding, Severity, Skipped
from nntrace.rules.loss.drawn import draws_otherwise
from nntrace.rules.loss.focal import focal_of_mean
from nntrace.rules.rule import rule
from nntrace.schema import EventKind, Role
from nntrace.trace import Event, Trace

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

    Reported are

    - squared or absolute error on a softmax classifier with one-hot targets (its gradient vanishes
      where the model is most wrong)
    - cross-entropy between exclusive classes on independent sigmoids, and a binary loss on a
      softmax
    - cross-entropy between exclusive classes whose targets have several ones for an example, unless
      they have the form of the input, as counts that are reconstructed
    - with Keras on TensorFlow, a cross-entropy or divergence whose arguments are exchanged (Keras
      takes the targets first)
    - with PyTorch, labels of 0 and 1 where a loss function wants -1 and 1 (`margin_ranking_loss`,
      `cosine_embedding_loss`, `hinge_embedding_loss`, `soft_margin_loss`, `max(0, 1 - labels *
      output)` written by hand)
    - with PyTorch, by the graph of the loss, a variational autoencoder whose code is drawn with the
      logarithm of the variance, or with the variance, for the deviation, without a gradient, or not
      at all; and a focal loss whose weight is made of the mean loss of a batch

    Soft targets, as in distillation and consistency training, are left alone.

    Source: "37 reasons", 15 and 20; Goodfellow et al., Deep Learning, 6.2.2.
    """
    if signs := trace.events_of(EventKind.SIGNS):
        yield _without_signs(signs[0])
        return
    announced = loss_calls(trace)
    if exchanged := [call for call in announced if call.is_exchanged]:
        yield _exchanged(trace, exchanged[0])
        return
    if otherwise := draws_otherwise(trace) or focal_of_mean(trace):
        yield otherwise
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
        problem = _misfit(trace, call, width)
        if not problem or call.path in told:
            continue
        told.add(call.path)
        yield Finding(
            f"`{call.path}`{problem} over {width} outputs.",
            site=trace.site(call.path, Role.OUTPUT),
            steps=batch_span(trace),
            evidence={"loss_function": call.function, "head": call.head, "outputs": width},
            location=call.location,
        )


def _misfit(trace: Trace, call: LossCall, width: int) -> str:
    """What a loss function does with a head that it is not made for; empty if it is."""
    is_softmax = call.head == "softmax" and width > 1
    classes = call.shape[1] if call.shape and len(call.shape) > 1 else width
    if call.function in REGRESSION and is_softmax and _is_one_hot(trace, call, width):
        return " compares a softmax with one-hot classes"
    if call.function in BINARY and is_softmax:
        return ", for independent labels, receives a softmax"
    if call.function in CROSS_ENTROPY and call.head == "sigmoid" and classes > 1:
        return ", for exclusive classes, receives independent sigmoids"
    return ""


def _of_several_classes(trace: Trace) -> Finding | None:
    """The finding on rows of zeros and ones, most with several ones, for exclusive classes."""
    inputs = [site.shape for site in trace.sites_of(Role.INPUT)]
    for path, batches in loss_inputs(trace).items():
        site = trace.site(path, Role.TARGET)
        is_exclusive = any(is_of(path, name) for name in CROSS_ENTROPY)
        if not is_exclusive or site is None or len(site.shape) != _ROWS or site.shape in inputs:
            continue
        width = site.shape[-1]
        own = [b for b in batches if has_zeros_and_ones(b) and b.classes == width]
        rows = [(b.target_mean or 0.0) * width for b in own]
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


def _exchanged(trace: Trace, call: LossCall) -> Finding:
    return Finding(
        f"`{call.path}` is given its arguments in the wrong order: the model's output for the "
        "targets, and the targets for the predictions.",
        site=trace.site(call.path, Role.OUTPUT),
        steps=batch_span(trace),
        severity=Severity.ERROR,
        evidence={"loss_function": call.function},
        location=call.location,
        advice="Keras' losses take the targets first: `loss(y_true, y_pred)`.",
    )


def _without_signs(event: Event) -> Finding:
    """The finding on labels of 0 and 1 for a loss function that wants -1 and 1."""
    function, zeros = text(event.payload, "function"), number(event.payload, "zeros") or 0.0
    name = "a hinge loss" if function == "hinge" else f"`{function}`"
    return Finding(
        f"{name} wants labels of -1 and 1, and is given 0 and 1: {zeros:.0%} are 0, "
        + (
            "and count as both kinds at once."
            if function == "hinge_embedding_loss"
            else "and have a constant loss, which teaches nothing."
        ),
        steps=(event.step, event.step),
        severity=Severity.ERROR,
        explains=("ACT07", "ACT13", "GRD04", "LOS12"),
        evidence={"zeros": zeros},
        advice="Turn the labels into signs first: `2 * labels - 1`.",
        location=place(event.payload),
    )


def _is_one_hot(trace: Trace, call: LossCall, width: int) -> bool:
    """Whether targets are only zeros and ones, with a single one per row."""
    known = [
        b
        for b in loss_inputs(trace).get(call.path, ())
        if b.target_mean is not None
        and b.target_std is not None
        and (b.target_min, b.target_max) == (0.0, 1.0)
    ]
    return bool(known) and all(
        has_zeros_and_ones(b) and abs((b.target_mean or 0.0) * width - 1) < 0.2 for b in known
    )
