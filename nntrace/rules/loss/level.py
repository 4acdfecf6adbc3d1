"""LOS11: a loss that stays where a model that ignores its input would be."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated

import numpy as np

from nntrace.rules.activations.variation import alike_from
from nntrace.rules.common.beside_chance import BesideChance
from nntrace.rules.common.chance import Chance, batches_of_last_phase, loss_location, target_growth
from nntrace.rules.common.frequencies import has_just_learnt_frequencies, has_seen_few_of_each
from nntrace.rules.common.layers import update_ratios, weights
from nntrace.rules.common.loss_course import (
    LossSeries,
    falls_steadily,
    is_still_learning,
    late_agreement,
    remaining_loss,
    steps_at_full_rate,
    unjudgeable,
)
from nntrace.rules.common.payloads import items
from nntrace.rules.common.signals import (
    column_medians,
    lasting,
    median,
    median_error,
    median_of_means,
    noise_scale,
    window_medians,
)
from nntrace.rules.common.smoothing import smoothed_floor
from nntrace.rules.finding import Finding, Severity, Skipped, too_few
from nntrace.rules.loss.unseen import at_chance_on_unseen_data
from nntrace.rules.rule import rule
from nntrace.schema import EventKind
from nntrace.trace import Site, Trace
from nntrace.trace.model import FloatArray

_LEAST_LOSSES = 20
_LEARNED = 0.8  # of a step's first loss
_MOVED = 1.25  # times larger or smaller: targets in the last fifth of the run beside the first
_TURNS_AROUND = -0.1  # cosine of successive gradients
_TRAIN_ON = (
    "Train on: how frequent the labels are is learned first, and the rest later. If the loss stays "
    "at this level five times as long as it took to get there, check whether the inputs carry a "
    "signal."
)


@rule(
    "LOS11",
    "stuck-at-chance",
    Severity.ERROR,
    explains=("LOS07",),
    advice="Train with the inputs zeroed (`nntrace check` does): if nothing changes, the inputs "
    "carry no signal into the model. Check that inputs and labels still belong together, then "
    "gradients and learning rate.",
)
def stuck_at_chance(
    trace: Trace,
    *,
    tolerance: Annotated[float, "relative distance from the chance value"] = 0.03,
    steps: Annotated[int, "optimizer steps after warm-up that are needed"] = 100,
    alike: Annotated[
        float, "share of the outputs' spread that is between examples, if they are alike"
    ] = 0.15,
    below: Annotated[float, "relative distance below chance if outputs are alike"] = 0.05,
    few_steps: Annotated[int, "optimizer steps that are needed if outputs are alike"] = 30,
    long_step: Annotated[
        float, "rms(Δw) / rms(w) below which steps are not why a loss never left chance"
    ] = 0.03,
) -> Iterator[Finding | Skipped]:
    """Over the second half of the run the loss sat at the value of a constant prediction.

    That is ln C or the entropy of the labels for cross-entropy, the variance of the targets for
    squared error: the model has learned nothing from its input. If its outputs hardly differ
    between examples, fewer steps are enough, and the loss may lie a little lower: it learns what
    can be known without the input, such as a place in the sequence. Of a loss function that is
    called several times a step the sum counts. Not judged: a critic's loss beside that of its
    policy, whose returns change as it learns.

    A warning below 200 steps, or if label smoothing lets the loss fall no lower. Also a warning if
    the training loss fell and no evaluation on other examples was better than chance, nor its
    accuracy above guessing: labels shuffled apart from their inputs can only be learned by heart,
    and classes that are not trained on cannot be known.

    Information if the loss has only just come to the entropy of uneven labels, which is learned
    first, and while each class was a target in fewer than 50 places on average (300 if classes are
    uneven, as words are).

    If steps are not long and gradients do not turn around, long steps (UPD01) are not the cause.

    Source: Karpathy's Recipe, step 2 (input-independent baseline); "37 reasons", 2 and 3.
    """
    full_rate_steps = steps_at_full_rate(trace)
    loss = BesideChance(trace, batches_of_last_phase(trace))
    ignored = alike_from(trace, alike)
    needed = steps if ignored is None else few_steps
    if loss.unknown:
        yield Skipped(loss.unknown)
        return
    if full_rate_steps < needed:
        yield too_few(f"needs {needed} steps after the warm-up, has {full_rate_steps}")
        return
    if skipped := unjudgeable(loss.series, _LEAST_LOSSES):
        yield skipped
        return
    if not loss.chances:
        yield Skipped(f"too little is known of the targets of `{loss.function}`")
        return
    if _is_a_critics(trace, loss.function):
        yield Skipped("targets change with what another term of the loss teaches the model")
        return
    half = loss.series.second_half.value
    level, error = median_of_means(half), median_error(noise_scale(half), len(half))
    chance = min(loss.chances, key=lambda c: abs(level - c.value))
    if error > tolerance * chance.value:
        yield Skipped(f"the loss is too noisy (± {error:.2g}) to tell it from chance")
        return
    sits = full_rate_steps >= steps and _near(level, chance, tolerance)
    sits = sits and not _still_falls(trace, half, chance)
    if ignored is not None:
        lowest, highest = (1.0 - below) * chance.value, (1.0 + 3.0 * tolerance) * chance.value
        sits |= lowest <= level <= highest and not is_still_learning(trace)
    if not sits:
        yield from at_chance_on_unseen_data(trace, loss)
    elif not _others_come_down(trace, loss.function):
        since = _since_when(loss.series, chance, 2.0 * tolerance)
        smoothed = smoothed_floor(trace, loss.function)
        if smoothed is not None and smoothed[1] >= (1.0 - 2.0 * tolerance) * chance.value:
            yield _smoothed_away(loss, chance, *smoothed)
            return
        severity = Severity.ERROR if len(trace.steps) >= 2 * steps else Severity.WARNING
        found = _stuck(loss, chance, level, since, severity, ignored)
        if since == loss.series.span[0] and _goes_nowhere(trace, long_step):
            found = replace(found, explains=("UPD01",), not_explained_by=("UPD01",))
        yield found


def _is_a_critics(trace: Trace, function: str) -> bool:
    """Whether the loss has another term, and targets move as they do not in a data set: they are
    returns of a policy that gets better, which a critic cannot foresee from the state alone.
    """
    objectives = [event.payload.get("terms") for event in trace.events_of(EventKind.OBJECTIVE)]
    growth = target_growth(trace)
    has_another = any(isinstance(terms, list) and set(terms) - {function} for terms in objectives)
    return has_another and max(growth, 1.0 / growth) > _MOVED


def _stuck(
    loss: BesideChance,
    chance: Chance,
    level: float,
    since: int,
    severity: Severity,
    ignored: tuple[Site, float] | None,
) -> Finding:
    """The finding on a loss at `level`, near `chance` since a step.

    Args:
        severity: unless it is too early to judge.
        ignored: the layer from which on examples are alike, and how alike they are, if they are.
    """
    early = has_just_learnt_frequencies(loss) or has_seen_few_of_each(loss.trace)
    return Finding(
        f"the loss has been at {level:.4g} since step {since}, which is what a model reaches "
        f"that ignores its input ({chance.name} = {chance.value:.4g})"
        + ("." if ignored is None else f"; {_in_words(*ignored)}."),
        steps=(since, loss.series.span[1]),
        severity=Severity.INFO if early else severity,
        advice=_TRAIN_ON if early else "",
        evidence={"level": level, "chance": chance.value, "chance_is": chance.name}
        | ({} if ignored is None else {"alike_from": ignored[0].path, "between": ignored[1]}),
        location=loss_location(loss.trace, loss.function),
    )


def _smoothed_away(loss: BesideChance, chance: Chance, smoothing: float, floor: float) -> Finding:
    """The finding on a loss that cannot leave chance, as the smoothed targets are next to even."""
    return Finding(
        f"`label_smoothing={smoothing:g}` leaves the loss between {floor:.4g}, its least, and "
        f"{chance.value:.4g}, that of a model that ignores its input: the targets are next to the "
        "same for all classes.",
        steps=loss.series.span,
        severity=Severity.WARNING,
        advice="0.1 is usual: it gives a tenth of the target to all classes together.",
        evidence={"label_smoothing": smoothing, "least_loss": floor, "chance": chance.value},
        location=loss_location(loss.trace, loss.function),
    )


def _goes_nowhere(trace: Trace, long_step: float) -> bool:
    """Whether steps are neither so long that nothing can be learned, nor overshoot: successive
    gradients then turn around.
    """
    ratios = update_ratios(trace, weights(trace))[len(trace.sampled_steps) // 2 :]
    typical = median(column_medians(ratios))
    return typical < long_step and late_agreement(trace) > _TURNS_AROUND


def _since_when(series: LossSeries, chance: Chance, tolerance: float) -> int:
    """The step since which the medians over twentieths of the run are near chance."""
    windows = window_medians(series.value, 20)
    near = lasting(np.array([_near(value, chance, tolerance) for value in windows]), 1)
    first = len(windows) // 2 if near is None else near
    return int(series.step[first * len(series) // len(windows)])


def _others_come_down(trace: Trace, function: str) -> bool:
    """Whether the loss function is called several times a step and their sum has fallen."""
    objectives = trace.events_of(EventKind.OBJECTIVE)
    several = any(f"{function}#2" in items(event.payload, "terms") for event in objectives)
    return several and remaining_loss(trace) < _LEARNED


def _in_words(site: Site, share: float) -> str:
    """A clause on the layer from which on the examples are alike."""
    return (
        f"from {site.path or 'the model'} on examples hardly differ: {share:.1%} of the spread of "
        "the outputs is between them"
    )


def _near(level: float, chance: Chance, tolerance: float) -> bool:
    """Whether a level is near chance: noise in the weights may raise it, but nothing lowers it."""
    return (1.0 - tolerance) * chance.value <= level <= (1.0 + 3.0 * tolerance) * chance.value


def _still_falls(trace: Trace, half: FloatArray, chance: Chance) -> bool:
    """Whether the loss still falls within the last half, by these values or those of all steps."""
    middle = len(half) // 2
    fall = median_of_means(half[:middle]) - median_of_means(half[middle:])
    error = median_error(noise_scale(half), middle, middle)
    is_certain = fall > 0.01 * chance.value and fall > 3.0 * error
    return is_certain or (fall > 0.005 * chance.value and falls_steadily(trace))
