"""LOS01: a first loss that is not that of a model which knows nothing."""

from collections.abc import Iterator
from functools import partial
from typing import Annotated

import numpy as np

from nntrace.rules.common.beside_chance import comparable_function
from nntrace.rules.common.calls import are_scaled_cosines
from nntrace.rules.common.chance import (
    SQUARED_ERROR,
    Chance,
    chance_losses,
    loss_location,
    loss_site,
    target_variance,
    training_batches,
)
from nntrace.rules.common.payloads import items
from nntrace.rules.common.signals import in_times, median
from nntrace.rules.finding import Finding, Severity, Skipped
from nntrace.rules.rule import rule
from nntrace.schema import EventKind, Role
from nntrace.trace import Batch, Trace

_START_EXAMPLES = 16  # with fewer the first loss is noise
_ABOUT_UNIT = 0.5  # rms of targets from which their scale counts as about one
_WHOLE = 100.0  # times, from which on a tenth says nothing
_HUGE = 100.0  # times chance: the first gradients are ten times too long, at any learning rate
_OF_A_HUGE_ONE = ("UPD07", "PAR02", "LOS07", "NUM05", "NUM09")


@rule(
    "LOS01",
    "loss-at-init",
    Severity.WARNING,
    explains=("LOS08", "LOS09", "LOS12", "GRD02", "GRD05", "UPD01", "NUM01", "NUM02"),
    advice="Print the first predictions: they should be near zero (logits) or near the targets' "
    "mean. Scale down the last layer's initial weights, set its bias to the targets' mean or "
    "log-odds, and check for a doubled softmax or a wrong reduction.",
)
def loss_at_init(
    trace: Trace,
    *,
    above: Annotated[float, "largest first loss relative to chance"] = 1.5,
    below: Annotated[float, "smallest first loss relative to chance"] = 0.25,
    logits: Annotated[float, "rms of the first logits below which they are near zero"] = 1.0,
    values: Annotated[
        float, "the same for outputs of a squared error, relative to the targets' rms"
    ] = 0.5,
    usual: Annotated[
        float, "factor on the targets' rms, or on `logits`, up to which it is information"
    ] = 1.5,
) -> Iterator[Finding | Skipped]:
    """The first loss is not that of a model that knows nothing.

    That would be −ln(1/C) for softmax cross-entropy, ln 2 for binary cross-entropy, and for squared
    error the mean square of the targets (their variance, if they are centred; that of the first
    examples, if it is larger). A higher loss means that the model starts out confident and wrong,
    and spends its first steps unlearning that. Outputs near zero are not confident, and not
    reported: the model's few features merely point the wrong way.

    Information are first outputs up to √2, which Glorot's initialisation, Keras' default, gives for
    inputs of unit scale (also for targets of half that scale), and a loss far below: the model
    starts with trained weights, or the answer leaks.

    Not judged: logits that are cosines with a scale, and a squared error to which the program adds
    a term of its own, which may be the larger one (as in a vector quantiser, where the error is
    only the commitment).

    Source: Karpathy's Recipe, step 2 (verify loss @ init); "37 reasons", 22 (chance performance);
    CS231n.
    """
    steps = trace.steps
    batches = training_batches(trace)
    function, reason = comparable_function(trace, batches)
    if reason := reason or _why_not_comparable(trace, function, batches):
        yield Skipped(reason)
        return
    first = first_loss(batches, float(steps.loss[0]))
    start = loss_of_knowing_nothing(function, batches)
    if start is None or first is None:
        yield Skipped(f"the chance value of `{function}` or its first value is not known")
        return
    site = loss_site(trace, function, Role.OUTPUT)
    finding = partial(
        Finding,
        site=site,
        steps=(int(steps.step[0]), int(steps.step[0])),
        evidence={"first_loss": first, "chance": start.value, "chance_is": start.name},
        location=loss_location(trace, function),
    )
    knows_nothing = f"a model that knows nothing ({start.name} = {start.value:.3g})"
    if first < below * start.value:
        yield finding(
            f"the first loss is {first:.3g}, far below that of {knows_nothing}.",
            severity=Severity.INFO,
            advice="Expected with loaded weights; else look for the target among the inputs.",
        )
    if first <= above * start.value:
        return
    if site is not None and are_scaled_cosines(trace, site.path):
        yield Skipped("the logits are cosines with a scale, which makes the first loss large")
        return
    limit = _largest_honest_loss(trace, function)
    if limit is not None and first > limit:
        yield Skipped("the first loss is larger than its predictions can cause, so it is weighted")
        return
    # What counts as near zero, or as far from the targets, for first outputs.
    scale = _scale(start.value) if function in SQUARED_ERROR else logits
    near = values * scale if function in SQUARED_ERROR else logits
    size = _first_rms(trace, function)
    if not size < near:
        yield finding(
            f"the first loss is {first:.3g}, {_times(first / start.value)} times that of "
            f"{knows_nothing}.",
            severity=Severity.INFO if size < usual * scale else None,
            explains=_OF_A_HUGE_ONE if first > _HUGE * start.value else (),
        )


def _why_not_comparable(trace: Trace, function: str, batches: tuple[Batch, ...]) -> str:
    """The reason why the first recorded loss is not the loss function's first value, or ""."""
    if function in SQUARED_ERROR and _has_other_terms(trace):
        return f"the objective adds a term to `{function}` whose chance value is not known"
    first = int(trace.steps.step[0])
    if first > 1 or not batches or batches[0].step > first:
        return "the first step is not among those recorded"
    if batches[0].loss_function != function:
        return f"the first step does not call `{function}`"
    return ""


def _has_other_terms(trace: Trace) -> bool:
    """Whether the program adds a term that is no known loss function's, perhaps the main one."""
    objectives = trace.events_of(EventKind.OBJECTIVE)
    return any("other" in items(event.payload, "terms") for event in objectives)


def first_loss(batches: tuple[Batch, ...], recorded: float) -> float | None:
    """The mean of the loss function's first values, of five batches or 16 examples at most.

    The first recorded loss if the loss function's own values are not known.
    """
    begin = _beginning(batches)
    first = float(np.mean([batch.loss_value for batch in begin])) if begin else recorded
    return first if np.isfinite(first) else None


def _beginning(batches: tuple[Batch, ...]) -> tuple[Batch, ...]:
    """The first batches with a finite loss value: as many as make 16 examples, at most five."""
    chosen: list[Batch] = []
    examples = 0
    for batch in batches[:5]:
        if batch.loss_value is None or not np.isfinite(batch.loss_value):
            break
        chosen.append(batch)
        examples += batch.batch_size or _START_EXAMPLES
        if examples >= _START_EXAMPLES:
            break
    return tuple(chosen)


def loss_of_knowing_nothing(function: str, batches: tuple[Batch, ...]) -> Chance | None:
    """The loss of near-zero outputs, which is where an untrained model starts."""
    if function not in SQUARED_ERROR:
        return next(iter(chance_losses(function, batches)), None)
    moments = target_variance(batches)
    if moments is None or moments[1] <= 0.0:
        return None
    # Outputs that all lie in [0, 1] come from a sigmoid, which starts at one half.
    low, high = batches[0].output_min, batches[0].output_max
    in_unit_range = low is not None and high is not None and low >= 0.0 and high <= 1.0
    squares = [
        variance + max(mean**2, (mean - 0.5) ** 2 if in_unit_range else 0.0)
        for mean, variance in (moments, target_variance(_beginning(batches)) or moments)
    ]
    return Chance("mean square of the targets", max(squares))


def _largest_honest_loss(trace: Trace, function: str) -> float | None:
    """The highest unweighted binary cross-entropy that outputs which know nothing may reach.

    ln 2 + r/2 + r²/8 bounds the mean of ln(1 + exp|z|) for logits z of root mean square r; a
    larger loss comes from a weight on the positive class. Five percent are added for sampling.
    """
    rms = _first_rms(trace, function)
    if function != "binary_cross_entropy_with_logits":
        return None
    return 1.05 * float(np.log(2.0) + rms / 2.0 + rms**2 / 8.0) if np.isfinite(rms) else None


def _first_rms(trace: Trace, function: str) -> float:
    """The root mean square of the first outputs that a loss function got; NaN if unknown."""
    site = loss_site(trace, function, Role.OUTPUT)
    return float("nan") if site is None else median(trace.series(Role.OUTPUT, "rms", site)[:1])


def _scale(mean_square: float) -> float:
    """The targets' rms, but 1 for targets that were scaled to about unit scale."""
    rms = float(np.sqrt(mean_square))
    return max(rms, 1.0) if rms >= _ABOUT_UNIT else rms


def _times(factor: float) -> str:
    """A factor in words: 2.5, 153, and 1.5e+11."""
    return f"{factor:.1f}" if factor < _WHOLE else in_times(factor)
