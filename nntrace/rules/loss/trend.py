"""Rules on the course of the loss: whether it falls, and whether it rises to stay."""

from collections.abc import Iterator
from typing import Annotated

import numpy as np

from nntrace.rules.common.beside_chance import BesideChance
from nntrace.rules.common.chance import batches_of_last_phase, loss_location, targets_run_away
from nntrace.rules.common.flow import Flow
from nntrace.rules.common.loss_course import (
    LossSeries,
    goes_uphill,
    loss_series,
    steps_at_full_rate,
    unjudgeable,
)
from nntrace.rules.common.passes import makes_targets
from nntrace.rules.common.signals import (
    lasting,
    median,
    median_error,
    noise_scale,
    trend_z,
    window_medians,
)
from nntrace.rules.finding import Finding, Severity, Skipped, too_few
from nntrace.rules.loss.moving_targets import kept_up, moving_targets
from nntrace.rules.probes.advantage import inputs_win
from nntrace.rules.rule import rule
from nntrace.trace import Trace

_LEARNED = 0.8  # of chance: a loss below it shows that something was learned, here or earlier
_OF_MARGIN = 0.01  # a hinge that varies less is the margin alone: all outputs have become one
_HEADS = (10, 20, 40)  # steps that count as the start: short ones are, long ones are less noisy
_SURE_STEPS = 200
_ASCENT = "Check the sign of the loss, of the gradients, and of the update."
_OF_ASCENT = (
    *("ACT01", "ACT03", "GRD02", "GRD05", "LOS12", "PAR01", "PAR02", "PAR04"),
    *("UPD01", "UPD07"),
)


@rule(
    "LOS07",
    "loss-not-decreasing",
    Severity.ERROR,
    advice="Overfit a single batch first. If that fails, check that gradients reach the "
    "parameters and that they change; if not, try a learning rate ten times larger and smaller.",
)
def loss_not_decreasing(
    trace: Trace,
    *,
    steps: Annotated[int, "optimizer steps with a loss that are needed"] = 50,
    improvement: Annotated[float, "smallest relative improvement that counts"] = 0.01,
    errors: Annotated[float, "standard errors that an improvement must exceed"] = 4.0,
    hidden: Annotated[
        float, "relative fall between the halves that must be visible above the noise"
    ] = 0.25,
) -> Iterator[Finding | Skipped]:
    """Over the whole run the loss never improved beyond its noise.

    Compares the start with the best of ten windows and looks for a falling trend (Mann–Kendall).
    Silent if either shows progress of more than 1 %, if the loss is already well below chance, or
    if a check has shown that it is higher without inputs (PRB02). A warning for runs below 200
    steps, and for losses whose chance value is unknown: their floor may lie just below the start,
    so for them a trend half as certain counts as progress.

    Not judged

    - if the noise could hide a fall by a quarter, as when every step is another task
    - if a network makes the targets of every step (Q-learning), or targets grow as the errors do,
      or more (returns)
    - if several optimizers share a regression and other terms (an actor and its critic)
    - if the loss is a hinge of outputs picked by an index (triplets that violate a margin: fewer
      and fewer, but as hard)

    Source: Karpathy's Recipe, step 2 (overfit one batch); "37 reasons", IV.
    """
    series = loss_series(trace)
    full_rate_steps = steps_at_full_rate(trace)
    if skipped := (
        unjudgeable(series, steps) or moving_targets(trace, series) or kept_up(trace, series)
    ):
        yield skipped
        return
    if full_rate_steps < steps:
        yield too_few(f"needs {steps} steps after the warm-up, has {full_rate_steps}")
        return
    loss = BesideChance(trace, batches_of_last_phase(trace))
    start, best, is_certain = _progress(series, errors)
    is_certain |= trend_z(series.value) < -(errors / 2 if loss.lowest is None else errors)
    if (is_certain and start - best > improvement * abs(start)) or inputs_win(trace):
        return
    if loss.lowest is not None and loss.series.end < _LEARNED * loss.lowest:
        return
    noise, level, half = noise_scale(series.value), series.end, len(series) // 2
    unseen = errors * median_error(noise, half, half)
    if unseen > hidden * abs(median(series.value)) and level - start <= unseen:
        yield Skipped(
            f"the loss is so noisy (± {noise:.2g}) that a fall by {unseen:.2g} could not be seen"
        )
        return
    varies = noise > _OF_MARGIN * abs(level)
    if loss.lowest is None and varies and Flow(trace).is_hinge_of_chosen():
        yield Skipped(
            "the loss is a hinge of outputs that the program picks: those that are easy may be "
            "left out as the model learns"
        )
        return
    is_sure = loss.lowest is not None and len(series) >= _SURE_STEPS
    yield Finding(
        f"the loss did not fall in {len(series)} steps: {start:.4g} at the start, {level:.4g} at "
        f"the end, {best:.4g} at best (noise of one step: {noise:.2g}).",
        steps=series.span,
        severity=Severity.ERROR if is_sure else Severity.WARNING,
        evidence={"start": start, "end": level, "best": best, "noise": noise},
        location=loss_location(trace, loss.function),
    )


def _progress(series: LossSeries, errors: float) -> tuple[float, float, bool]:
    """The loss at the start, the best level of a tenth, and whether these differ by so many errors.

    A loss that drops at once has no level at the start but its first value.
    """
    values, noise = series.value, noise_scale(series.value)
    best, width = float(window_medians(values, 10).min()), max(1, len(values) // 10)
    heads = {
        head: float(np.median(values[:head])) for count in _HEADS if (head := min(count, width))
    }
    start = heads[min(heads)]
    if values[0] - best > 1.5 * errors * noise:
        return max(start, float(values[0])), best, True
    is_certain = any(
        level - best > errors * median_error(noise, head, width) for head, level in heads.items()
    )
    return start, best, is_certain


@rule(
    "LOS08",
    "loss-diverging",
    Severity.ERROR,
    explains=("LOS07", "NUM01", "NUM02", "NUM03", "NUM04", "NUM09"),
    advice="Lower the learning rate (by ten to begin with), add a warm-up or clip gradients; if "
    "it rises from the first step on, check the sign of the loss and of the update.",
)
def loss_diverging(
    trace: Trace,
    *,
    factor: Annotated[float, "factor of rise above the lowest level of the loss"] = 2.0,
    climb: Annotated[float, "the same for a loss that never was below its start"] = 1.5,
    steps: Annotated[int, "steps with a loss that are needed"] = 20,
    burst: Annotated[float, "factor of rise above all earlier values in the last steps"] = 10.0,
) -> Iterator[Finding | Skipped]:
    """The loss rose to at least twice its lowest level and stayed there.

    Compares the last tenth of the run with its best tenth, or the last five steps with all before
    them, or with the start if the loss ended as NaN. For a loss that only ever rose, one and a half
    times is enough. A rise within the progress made (0.001 that becomes 0.003) is no divergence,
    nor is one from which the loss is recovering. If the loss rises while successive gradients
    agree, the steps lead uphill: they are not too long, and everything that grows is a consequence.

    Not judged

    - if a network makes the targets of every step, or sharpens those of a divergence
    - if targets grow as the errors do, because errors grow with the returns
    - if the loss on other data falls meanwhile (what is trained on became harder)
    - if a tenth of the weights has become exactly zero (pruning)

    Source: "37 reasons", 33 (learning rate), 31 (exploding gradients); Karpathy's Recipe, step 3.
    """
    series = loss_series(trace)
    if series.nonfinite_from is not None and len(series) < steps:
        finding = _run_up_to_nan(series, burst)
        if finding is None:
            yield Skipped(f"only {len(series)} finite losses")
        else:
            yield finding
        return
    lost = series.nonfinite_from is not None or targets_run_away(trace)
    moving = None if lost else moving_targets(trace, series)
    if skipped := unjudgeable(series, steps) or moving:
        yield skipped
        return
    values = series.value
    width = max(5, len(values) // 10)
    levels = np.array([np.median(values[i : i + width]) for i in _starts(len(values), width)])
    lowest, last = float(levels.min()), float(np.median(values[-width:]))
    start, tail = float(np.median(values[: min(10, width)])), float(np.median(values[-5:]))
    error = median_error(noise_scale(values), width, width)
    sudden = tail > burst * float(values[:-5].max())
    climbed = start < lowest + 4.0 * error and last > climb * lowest and trend_z(values) > 4.0
    risen = (
        (climbed or last > factor * lowest)
        and last - lowest > max(0.25 * (start - lowest), 6.0 * error)
        and tail > 0.5 * float(levels.max())
        and np.quantile(values[-max(5, len(values) // 4) :], 0.25) > lowest
    )
    if not risen and not sudden:
        return
    end = max(last, tail)
    window = lasting(levels > lowest + 0.2 * (end - lowest), 1)
    since = len(values) - 5 if window is None else _starts(len(values), width)[window]
    nan = f", and is not finite from step {series.nonfinite_from} on" if _is_lost(series) else ""
    moves = makes_targets(trace) or targets_run_away(trace)
    uphill = climbed and goes_uphill(trace) and not moves
    told = ", and successive gradients point the same way: each step goes uphill" if uphill else ""
    yield Finding(
        f"the loss rose from {lowest:.3g} to {end:.3g}{nan}{told}.",
        steps=(int(series.step[since]), series.span[1]),
        severity=Severity.ERROR if end > start or _is_lost(series) else Severity.WARNING,
        evidence={"lowest": lowest, "end": end, "start": start, "factor": end / max(lowest, 1e-30)},
        advice=_ASCENT if uphill else "",
        not_explained_by=_OF_ASCENT if uphill else (),
        explains=_OF_ASCENT if uphill else (),
    )


def _starts(length: int, width: int) -> range:
    return range(0, length - width + 1, max(1, width // 4))


def _is_lost(series: LossSeries) -> bool:
    """Whether the loss ended as NaN or infinite."""
    return series.nonfinite_from is not None and series.nonfinite_from > series.span[1]


def _run_up_to_nan(series: LossSeries, burst: float) -> Finding | None:
    """The finding on a loss that exploded within a few steps and then became NaN; else None."""
    values = series.value
    if len(values) < 3 or not _is_lost(series) or series.optimizers > 1 or values.min() <= 0.0:
        return None
    lowest = int(values.argmin())
    if values[-1] < burst * values[lowest] or lowest >= len(values) - 2:
        return None
    return Finding(
        f"the loss rose from {values[lowest]:.3g} to {values[-1]:.3g} within "
        f"{len(values) - lowest} steps and is not finite from step {series.nonfinite_from} on.",
        steps=(int(series.step[lowest]), series.span[1]),
        evidence={"lowest": float(values[lowest]), "end": float(values[-1])},
    )
