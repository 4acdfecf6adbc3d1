"""LOS21: a loss function whose lowest value is at minus infinity, or where the model is wrong."""

from collections.abc import Iterator, Sequence
from typing import Annotated

from nntrace.rules.common.beside_chance import function_loss
from nntrace.rules.common.calls import LossCall, loss_calls
from nntrace.rules.common.chance import (
    BINARY,
    CROSS_ENTROPY,
    batch_span,
    loss_functions,
    loss_location,
    training_batches,
)
from nntrace.rules.common.loss_course import loss_series
from nntrace.rules.common.optimizers import backward_line
from nntrace.rules.common.payloads import count, items, place
from nntrace.rules.common.signals import median, span
from nntrace.rules.finding import Finding, Severity, Skipped
from nntrace.rules.rule import rule
from nntrace.schema import EventKind
from nntrace.trace import Batch, Event, Trace

_NEVER_NEGATIVE = (
    CROSS_ENTROPY
    | BINARY
    | {
        *("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "kl_div", "soft_margin_loss"),
        *("multi_margin_loss", "multilabel_soft_margin_loss"),
    }
)

_OF_LABELS = (
    "A binary cross-entropy is for labels 0 and 1: take a squared error for other numbers, "
    "a cross-entropy over classes for class numbers, and map labels −1 and 1 to 0 and 1."
)
_NO_PROBABILITIES = (-0.5, 1.5)  # noise on labels, as some GANs add, stays within
_DEEP = 30.0  # times the first loss below zero: densities and rewards stay above
_BOTTOMLESS = 1e4  # the same, however the loss came there
_LEAST_STEPS = 50
_ENDS = 10  # steps whose median is the first, middle or last loss


@rule(
    "LOS21",
    "impossible-loss",
    Severity.ERROR,
    explains=("LOS08", "LOS15", "LOS20"),
    advice="Look at the targets' range (a binary cross-entropy wants 0 … 1), at the order of the "
    "arguments of a divergence (probabilities that add up to one; PyTorch's `kl_div` wants their "
    "logarithms first), and at the sign.",
)
def impossible_loss(
    trace: Trace,
    *,
    samples: Annotated[int, "steps with a negative value"] = 2,
    rounding: Annotated[float, "size of a negative value that counts"] = 1e-4,
) -> Iterator[Finding | Skipped]:
    """A loss function that cannot be negative returned negative values.

    A cross-entropy is negative if its targets are no probabilities, a KL divergence if one of its
    arguments is none: the optimum is then at minus infinity. The values of the loss function itself
    are judged, before the program applies any sign or weight. Told before it is negative are

    - a binary cross-entropy whose targets reach from −1 to 1, or beyond 1.5, unless it is weighted
      or returned for each element, as where such targets mark what is left out
    - PyTorch's `kl_div` on what comes out of a softmax, by the operation that made it

    So is a sum with such a function that falls far below zero and does not slow down: another of
    its terms goes to minus infinity, as a divergence that is subtracted does.

    A warning if such a function with a negative weight is all that the only optimizer minimises,
    and with PyTorch if the gradient of a loss written by hand moves probabilities away from its
    targets of zeros and ones, as it does where the minus of a log-likelihood was forgotten, or a
    Dice score is minimised.

    Source: "37 reasons", 15 (check your loss function).
    """
    if (climbed := _climbed_alone(trace)) is not None:
        yield Finding(
            f"the program minimises `{climbed}` times a negative number, so training increases "
            f"`{climbed}`.",
            severity=Severity.WARNING,
            steps=loss_series(trace).span,
            evidence={"function": climbed},
            location=loss_location(trace, climbed),
        )
        return
    if reversed_events := trace.events_of(EventKind.DIRECTION):
        yield _away_from_targets(reversed_events[0])
        return
    if call := next(filter(_is_of_probabilities, loss_calls(trace)), None):
        yield _without_logarithm(call, batch_span(trace))
        return
    if (endless := _falls_without_end(trace)) is not None:
        yield endless
        return
    known = [
        batch
        for batch in training_batches(trace)
        if batch.loss_function in _NEVER_NEGATIVE and batch.loss_value is not None
    ]
    if not known:
        yield Skipped("no values of a loss function that cannot be negative were recorded")
        return
    values = _values_of_functions(trace, known)
    wrong = {step: value for step, value in values.items() if value < -rounding}
    if len(wrong) < samples:
        if (labels := _no_probabilities(trace, known)) is not None and len(known) >= samples:
            yield labels
        return
    function = next((b.loss_function or "" for b in known if b.step in wrong), "")
    function = function or known[0].loss_function or ""
    lows = [b.target_min for b in known if b.target_min is not None]
    highs = [b.target_max for b in known if b.target_max is not None]
    cause = ""
    if function in BINARY and lows and highs and (min(lows) < 0.0 or max(highs) > 1.0):
        cause = f" Its targets reach from {min(lows):.3g} to {max(highs):.3g}."
    yield Finding(
        f"`{function}` returned {min(wrong.values()):.3g}; it cannot be negative.{cause}",
        advice=_OF_LABELS if cause else "",
        steps=(min(wrong), max(wrong)),
        evidence={
            "lowest": min(wrong.values()),
            "negative_samples": len(wrong),
            "samples": len(values),
        },
        location=loss_location(trace, function),
    )


def _is_of_probabilities(call: LossCall) -> bool:
    """Whether PyTorch's `kl_div` is given what comes out of a softmax."""
    is_softmax = call.head == "softmax" and call.head_width != 1
    return call.function == "kl_div" and is_softmax and not call.takes_probabilities


def _without_logarithm(call: LossCall, steps: tuple[int, int]) -> Finding:
    return Finding(
        f"`{call.path}` receives probabilities, as they come out of a softmax, and wants their "
        "logarithms: it is no divergence, and lowest where the target's largest class has all.",
        steps=steps,
        advice="Give `kl_div` the `log_softmax` of the predictions; the targets stay probabilities "
        "(with `log_target=True` they are logarithms, too).",
        location=call.location,
    )


def _no_probabilities(trace: Trace, known: Sequence[Batch]) -> Finding | None:
    """The finding on labels of a binary cross-entropy that are no probabilities in every batch."""
    low, high = _NO_PROBABILITIES
    if any(b.loss_function not in BINARY or b.target_min is None for b in known):
        return None
    lows, highs = [b.target_min or 0.0 for b in known], [b.target_max or 0.0 for b in known]
    outside = all(one <= low or other >= high for one, other in zip(lows, highs, strict=True))
    calls = [event.payload for event in trace.events_of(EventKind.LOSS_CALL)]
    leaves_out = any(call.get("weighted") or call.get("reduction") == "none" for call in calls)
    if not outside or leaves_out:
        return None
    function = known[0].loss_function or ""
    return Finding(
        f"the targets of `{function}` reach from {min(lows):.3g} to {max(highs):.3g}: they are no "
        "probabilities, and its lowest value is at minus infinity.",
        advice=_OF_LABELS,
        steps=span([batch.step for batch in known]),
        evidence={"target_min": min(lows), "target_max": max(highs)},
        location=loss_location(trace, function),
    )


def _climbed_alone(trace: Trace) -> str | None:
    """The only function that the only optimizer minimises, if its weight is negative; or None."""
    function = None
    for event in trace.events_of(EventKind.OBJECTIVE):
        terms, weights = items(event.payload, "terms"), items(event.payload, "weights")
        if len(terms) != 1 or len(weights) != 1 or not isinstance(terms[0], str):
            return None
        is_negative = isinstance(weights[0], int | float) and weights[0] < 0.0
        if not is_negative or terms[0] not in _NEVER_NEGATIVE:
            return None
        function = terms[0]
    return None if loss_series(trace).optimizers > 1 else function


def _falls_without_end(trace: Trace) -> Finding | None:
    """The finding on a sum of losses that cannot be negative and of other terms, if it falls to
    minus infinity.
    """
    series = loss_series(trace)
    function = None
    for event in trace.events_of(EventKind.OBJECTIVE):
        terms, weights = items(event.payload, "terms"), items(event.payload, "weights")
        pairs = dict(zip(terms, weights, strict=False))
        bounded = [name for name in pairs if name in _NEVER_NEGATIVE]
        is_added = all(isinstance(w := pairs[name], int | float) and w > 0.0 for name in bounded)
        if not bounded or not is_added or len(bounded) == len(terms):
            return None
        function = bounded[0]
    if function is None or series.optimizers > 1 or len(series) < _LEAST_STEPS:
        return None
    half, values = len(series) // 2, series.value
    first, middle, last = map(median, (values[:_ENDS], values[half:][:_ENDS], values[-_ENDS:]))
    slows_down = first - middle > middle - last
    if not first > 0.0 or last > -(_BOTTOMLESS if slows_down else _DEEP) * first:
        return None
    return Finding(
        f"the loss fell from {first:.3g} to {last:.3g}: `{function}` in it cannot be "
        "negative, so another of its terms goes to minus infinity.",
        steps=series.span,
        explains=(
            *("ACT01", "ACT03", "ACT04", "ACT05", "GRD02", "GRD05", "LOS07", "LOS13", "NUM01"),
            *("NUM02", "NUM03", "NUM05", "NUM09", "PAR01", "PAR02", "UPD01", "UPD07"),
        ),
        evidence={"first_loss": first, "last_loss": last},
        advice="Look at the sign of each term: a divergence, a penalty or a squared distance is "
        "added, not subtracted. Print the terms one by one.",
        location=backward_line(trace),
    )


def _away_from_targets(event: Event) -> Finding:
    return Finding(
        "the loss is lowest where the predictions are wrong: each step lowers them where the "
        "targets are 1, and raises them where these are 0.",
        severity=Severity.WARNING,
        steps=(event.step, event.step),
        explains=("ACT13", "LOS07", "LOS11", "LOS13", "LOS22", "NUM05", "PAR02", "UPD01"),
        evidence={"looks": count(event.payload, "looks")},
        advice="A log-likelihood needs a minus: `-(targets * log_probs).sum(1).mean()`. A score "
        "such as Dice or IoU, which is 1 at best, is minimised as `1 - score`.",
        location=place(event.payload),
    )


def _values_of_functions(trace: Trace, known: list[Batch]) -> dict[int, float]:
    """The values of loss functions that cannot be negative, by step.

    Those of every step, not only of sampled ones, if a single function is all that is
    differentiated.
    """
    sampled = {batch.step: batch.loss_value or 0.0 for batch in known}
    batches = training_batches(trace)
    if len(loss_functions(batches)) > 1:
        return sampled
    series = function_loss(trace, batches)
    return dict(zip(series.step.tolist(), series.value.tolist(), strict=True)) | sampled
