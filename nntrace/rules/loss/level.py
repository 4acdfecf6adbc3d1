"""Rules that compare the loss with what a model that ignores its input would reach."""

from collections.abc import Iterator
from functools import partial
from typing import Annotated

import numpy as np

from nntrace.rules.activations.variation import alike_from
from nntrace.rules.common.chance import (
    SQUARED_ERROR,
    Chance,
    batches_of_last_phase,
    chance_losses,
    comparable_function,
    function_loss,
    has_just_learnt_frequencies,
    loss_location,
    loss_site,
    target_variance,
    training_batches,
)
from nntrace.rules.common.loss_course import (
    LossSeries,
    falls_steadily,
    is_still_learning,
    remaining_loss,
    steps_at_full_rate,
    unjudgeable,
)
from nntrace.rules.common.signals import (
    lasting,
    median,
    median_error,
    median_of_means,
    noise_scale,
    window_medians,
)
from nntrace.rules.finding import Finding, Severity, Skipped, too_few
from nntrace.rules.loss.unseen import at_chance_on_unseen_data
from nntrace.rules.rule import rule
from nntrace.schema import EventKind, Role
from nntrace.trace import Batch, Site, Trace
from nntrace.trace.model import FloatArray

_START_EXAMPLES = 16  # fewer, and the first loss is noise
_LEAST_LOSSES = 20
_ABOUT_UNIT = 0.5  # rms of targets
_LEARNED = 0.8  # of the first loss of a step
_HUGE = 100.0  # times chance: the first gradients are ten times too long, for any learning rate
_OF_A_HUGE_ONE = ("UPD07", "PAR02", "LOS07", "NUM05", "NUM09")
_TRAIN_ON = (
    "Train on: how frequent the labels are is learned first, as by every language model. If the "
    "loss stays five times as long as it took to come there, see whether inputs carry a signal."
)


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
    logits: Annotated[float, "rms of first logits that is near zero"] = 1.0,
    values: Annotated[float, "rms of other first outputs, by the targets', that is"] = 0.5,
    usual: Annotated[float, "times the targets', or the logits near zero, that are a note"] = 1.5,
) -> Iterator[Finding | Skipped]:
    """The first loss is not that of a model that knows nothing.

    That would be −ln(1/C) for softmax cross-entropy, ln 2 for binary cross-entropy, and for squared
    error the mean square of the targets (their variance, when centred; of the first examples, if
    theirs is larger). A higher loss means that the model starts out confident and wrong, and spends
    its first steps unlearning that. Outputs near zero are not confident: there its few features
    merely point the wrong way. First outputs up to √2, which Glorot's initialisation, Keras'
    default, makes of inputs of unit scale, are information, as they are for targets of half that
    scale. A loss far below is information: the model starts with trained weights, or the answer
    leaks. A squared error is not judged where the program adds a term of its own, which may be the
    larger one (as in a vector quantiser, where the error is only the commitment).
    Source: Karpathy's Recipe, step 2 (verify loss @ init); "37 reasons", 22 (chance performance);
    CS231n.
    """
    steps = trace.steps
    batches = training_batches(trace)
    function, reason = comparable_function(trace, batches)
    if not reason and function in SQUARED_ERROR and _has_other_terms(trace):
        reason = f"beside `{function}` the objective has a term whose chance value is not known"
    if reason:
        yield Skipped(reason)
        return
    if int(steps.step[0]) > 1 or not batches or batches[0].step > int(steps.step[0]):
        yield Skipped("the first step is not among those recorded")
        return
    if batches[0].loss_function != function:
        yield Skipped(f"the first step does not call `{function}`")
        return
    first = first_loss(batches, float(steps.loss[0]))
    start = loss_of_knowing_nothing(function, batches)
    if start is None or first is None:
        yield Skipped(f"the chance value of `{function}` or its first value is not known")
        return
    finding = partial(
        Finding,
        site=loss_site(trace, function, Role.OUTPUT),
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
    limit = _largest_honest_loss(trace, function)
    if limit is not None and first > limit:
        yield Skipped("the first loss is larger than its predictions allow: it is weighted")
        return
    # What first outputs of this size are: near zero, or far from what they are to be.
    scale = _scale(start.value) if function in SQUARED_ERROR else logits
    near = values * scale if function in SQUARED_ERROR else logits
    size = _first_rms(trace, function)
    if not size < near:
        yield finding(
            f"the first loss is {first:.3g}, {first / start.value:.1f} times that of "
            f"{knows_nothing}.",
            severity=Severity.INFO if size < usual * scale else None,
            explains=_OF_A_HUGE_ONE if first > _HUGE * start.value else (),
        )


@rule(
    "LOS11",
    "stuck-at-chance",
    Severity.ERROR,
    explains=("LOS07",),
    advice="Train with the inputs zeroed: if nothing changes, the inputs carry no signal into the "
    "model. Check that inputs and labels still belong together, then gradients and learning rate.",
)
def stuck_at_chance(
    trace: Trace,
    *,
    tolerance: Annotated[float, "relative distance from the chance value"] = 0.03,
    steps: Annotated[int, "optimizer steps after warm-up that are needed"] = 100,
    alike: Annotated[float, "share of the outputs' spread between examples: next to none"] = 0.15,
    below: Annotated[float, "relative distance below chance where examples are alike"] = 0.05,
    few_steps: Annotated[int, "optimizer steps that are needed where examples are alike"] = 30,
) -> Iterator[Finding | Skipped]:
    """Over the second half of the run the loss sat at the value of a constant prediction.

    That is ln C or the entropy of the labels for cross-entropy, the variance of the targets for
    squared error: the model has learned nothing from its input. A warning below 200 steps. Where
    the model's outputs hardly differ between examples (inputs unrelated to their labels, or hidden
    by a mask), fewer steps are enough, and the loss may lie a little lower, because the model
    learns what can be known without the input, such as a place in the sequence. Of several calls of
    the loss function in one step (one for each place of a sequence) their sum counts, since the
    first alone may stay. Information where the loss came down to the entropy of uneven labels and
    has not been there five times as long as that took: frequencies are learned first.

    A warning, too, where the training loss fell and no evaluation on other examples came below
    chance, nor their accuracy above guessing: labels that were shuffled apart from their inputs are
    only learnt by heart, and classes that are not trained on cannot be known.
    Source: Karpathy's Recipe, step 2 (input-independent baseline); "37 reasons", 2 and 3.
    """
    full_rate_steps = steps_at_full_rate(trace)
    batches = batches_of_last_phase(trace)
    function, reason = comparable_function(trace, batches)
    chances = chance_losses(function, batches)
    series = function_loss(trace, batches)
    ignored = alike_from(trace, alike)
    needed = steps if ignored is None else few_steps
    if reason:
        yield Skipped(reason)
        return
    if full_rate_steps < needed:
        yield too_few(f"needs {needed} steps after the warm-up, has {full_rate_steps}")
        return
    if skipped := unjudgeable(series, _LEAST_LOSSES):
        yield skipped
        return
    if not chances:
        yield Skipped(f"too little is known of the targets of `{function}`")
        return
    half = series.value[2 * series.step >= sum(series.span)]
    level = median_of_means(half)
    chance = min(chances, key=lambda c: abs(level - c.value))
    error = median_error(noise_scale(half), len(half))
    if error > tolerance * chance.value:
        yield Skipped(f"the loss is too noisy (± {error:.2g}) to tell it from chance")
        return
    at_chance = _near(level, chance, tolerance) and not _still_falls(trace, half, chance)
    sits = at_chance and full_rate_steps >= steps
    if ignored is not None:
        lowest, highest = (1.0 - below) * chance.value, (1.0 + 3.0 * tolerance) * chance.value
        sits |= lowest <= level <= highest and not is_still_learning(trace)
    if not sits:
        yield from at_chance_on_unseen_data(trace, function, chances, series)
        return
    if _others_come_down(trace, function):
        return
    since = _since_when(series, chance, 2.0 * tolerance)
    is_sure = len(trace.steps) >= 2 * steps
    early = has_just_learnt_frequencies(series, chances)
    yield Finding(
        f"the loss has sat at {level:.4g} since step {since}: what a model reaches that ignores "
        f"its input ({chance.name} = {chance.value:.4g})"
        + ("." if ignored is None else f"; {_in_words(*ignored)}."),
        steps=(since, series.span[1]),
        severity=Severity.INFO if early else Severity.ERROR if is_sure else Severity.WARNING,
        advice=_TRAIN_ON if early else "",
        evidence={"level": level, "chance": chance.value, "chance_is": chance.name}
        | ({} if ignored is None else {"alike_from": ignored[0].path, "between": ignored[1]}),
        location=loss_location(trace, function),
    )


def _since_when(series: LossSeries, chance: Chance, tolerance: float) -> int:
    """The step since which the medians of twentieths of the run are near chance."""
    windows = window_medians(series.value, 20)
    near = lasting(np.array([_near(value, chance, tolerance) for value in windows]), 1)
    first = len(windows) // 2 if near is None else near
    return int(series.step[first * len(series) // len(windows)])


def _has_other_terms(trace: Trace) -> bool:
    """Whether the program adds a term that is no known loss function's: it may be the main one."""
    objectives = (event.payload.get("terms") for event in trace.events_of(EventKind.OBJECTIVE))
    return any(isinstance(terms, list) and "other" in terms for terms in objectives)


def _others_come_down(trace: Trace, function: str) -> bool:
    """Whether the loss function is called several times a step and their sum has fallen."""
    objectives = (event.payload.get("terms") for event in trace.events_of(EventKind.OBJECTIVE))
    several = any(isinstance(terms, list) and f"{function}#2" in terms for terms in objectives)
    return several and remaining_loss(trace) < _LEARNED


def _in_words(site: Site, share: float) -> str:
    """In words, from which layer on the examples are alike."""
    return (
        f"from {site.path or 'the model'} on examples hardly differ: {share:.1%} of the spread of "
        "the outputs is between them"
    )


def first_loss(batches: tuple[Batch, ...], recorded: float) -> float | None:
    """The mean of the first values of the loss function that make 16 examples, at most five.

    The first recorded loss where the loss function's own values are not known.
    """
    begin = _beginning(batches)
    first = float(np.mean([batch.loss_value for batch in begin])) if begin else recorded
    return first if np.isfinite(first) else None


def _beginning(batches: tuple[Batch, ...]) -> tuple[Batch, ...]:
    """The first batches with a loss of their own that make 16 examples, at most five."""
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
    """What unweighted binary cross-entropy may reach with outputs that know nothing.

    ln 2 + r/2 + r²/8 bounds the mean of ln(1 + exp|z|) for logits z of root mean square r; a
    larger loss comes from a weight on the positive class. Five percent are for sampling.
    """
    rms = _first_rms(trace, function)
    if function != "binary_cross_entropy_with_logits":
        return None
    return 1.05 * float(np.log(2.0) + rms / 2.0 + rms**2 / 8.0) if np.isfinite(rms) else None


def _first_rms(trace: Trace, function: str) -> float:
    """Root mean square of the first outputs that a loss function received; NaN if not known."""
    site = loss_site(trace, function, Role.OUTPUT)
    return float("nan") if site is None else median(trace.series(Role.OUTPUT, "rms", site)[:1])


def _scale(mean_square: float) -> float:
    """The targets' rms; that of targets which were brought to about unit scale is 1."""
    rms = float(np.sqrt(mean_square))
    return max(rms, 1.0) if rms >= _ABOUT_UNIT else rms


def _near(level: float, chance: Chance, tolerance: float) -> bool:
    """Whether a level is near chance: noise in the weights may lift it above, nothing below."""
    return (1.0 - tolerance) * chance.value <= level <= (1.0 + 3.0 * tolerance) * chance.value


def _still_falls(trace: Trace, half: FloatArray, chance: Chance) -> bool:
    """Whether the loss leaves that level: the sampled losses say so, or those of all steps."""
    middle = len(half) // 2
    fall = median_of_means(half[:middle]) - median_of_means(half[middle:])
    error = median_error(noise_scale(half), middle, middle)
    return fall > 0.01 * chance.value and (fall > 3.0 * error or falls_steadily(trace))
