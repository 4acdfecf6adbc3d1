"""Rules on the true updates Δw: their size relative to the weights."""

from collections.abc import Iterator, Sequence
from typing import Annotated

import numpy as np

from nntrace.rules.common.chance import chance_losses, comparable_function, training_batches
from nntrace.rules.common.frequencies import goes_below_frequencies
from nntrace.rules.common.layers import BoolArray, columns, first_finite, update_ratios, weights
from nntrace.rules.common.loss_course import (
    LossSeries,
    falls_steadily,
    goes_uphill,
    is_still_learning,
    late_agreement,
    loss_series,
    remaining_loss,
    unjudgeable,
)
from nntrace.rules.common.optimizers import optimizer_line
from nntrace.rules.common.signals import (
    finite,
    in_times,
    lasting,
    median,
    median_error,
    noise_scale,
    rounded,
    span,
)
from nntrace.rules.finding import Finding, Severity, Skipped, too_few
from nntrace.rules.numerics.origins import origins
from nntrace.rules.rule import rule
from nntrace.schema import Role
from nntrace.trace import Site, Trace
from nntrace.trace.model import FloatArray

_USUAL = 1e-3  # update ratio
_FIRST_STEPS = 20  # twice what Adam's first moment averages over
_FIRST_STEP = 0.03  # update ratio of Adam's first steps, of full size in every direction
_ADAM = "Adam wants rates some tens of times smaller than SGD."
_SAMPLES = 10  # sampled steps; with fewer a ratio cannot be called lasting
_LATE_SAMPLES = 3  # of them, in the second half of the run
_OVERWRITES = 0.5  # an update half as large as the weights
_PRUNED = 0.1  # of a layer's weights
_OVERSHOOT = 3.0  # times the level before; healthy runs do not rise above their first loss
_OUTLIER = 10.0  # times the losses around it: a batch caused that, not a step
_AT_CHANCE = 0.03  # as in LOS11
_AFTERMATH = 50  # steps in which a loss overshoots


@rule(
    "UPD01",
    "update-ratio-high",
    Severity.WARNING,
    needs=(Role.PARAM, Role.UPDATE),
    explains=(
        *("ACT01", "ACT03", "ACT04", "ACT05", "ACT07", "GRD02", "GRD04", "GRD05"),
        *("PAR01", "PAR02", "LOS07", "LOS08", "LOS09", "LOS10", "LOS11", "LOS12"),
        *("NUM01", "NUM02", "NUM03", "NUM05", "NUM09"),
    ),
    advice="Lower the learning rate, until a step changes weights by 0.1%; Adam wants rates "
    "some tens of times smaller than SGD.",
)
def update_ratio_high(
    trace: Trace,
    *,
    warning: Annotated[float, "rms(Δw) / rms(w) that is a warning when it lasts"] = 1e-2,
    error: Annotated[float, "rms(Δw) / rms(w) that is an error when it lasts"] = 1e-1,
    learned: Annotated[
        float, "share of the first loss below which training works all the same"
    ] = 0.5,
    agreement: Annotated[
        float, "cosine of successive gradients above which updates do not overshoot"
    ] = 0.5,
) -> Iterator[Finding | Skipped]:
    """Every step changes the weights by a large part of their own size, and the loss stays high.

    About 1e-3 is healthy. Judged by the median over the second half of the run, because the first
    steps of Adam and the peak of a schedule are large by design, for at least half of the weight
    matrices (without embeddings and those that start at zero). Nothing is reported if the loss has
    fallen by a fifth and still falls steadily, or falls so below the entropy of uneven labels (a
    language model's loss keeps most of its size), nor if successive gradients point the same way,
    because steps that are too long overshoot: such a loss falls as it should, or rises because the
    steps lead uphill (LOS08).

    A single step of half the weights' size also counts if the loss triples after it, or never gets
    better than it was or than chance, beyond its noise, unless the step set weights to zero, as a
    constraint does.
    With several optimizers or a negative loss, which tell little, only the error level counts.
    Source: Karpathy, CS231n, "ratio of weights:updates"; "37 reasons", 33.
    """
    sites = weights(trace)
    ratio = update_ratios(trace, sites)
    start = first_finite(columns(trace, Role.PARAM, "rms", sites))
    ratio[:, ~(start > 0)] = np.nan
    rows = np.flatnonzero(np.isfinite(ratio).any(axis=1))
    series = loss_series(trace)
    shock = _shock(trace, np.where(_set_to_zero(trace, sites), np.nan, ratio), rows)
    if shock is not None:
        yield shock
        return
    first, last = span(trace.steps.step)
    late = rows[trace.sampled_steps[rows] >= max((first + last) / 2, first + _FIRST_STEPS)]
    if len(rows) < _SAMPLES or len(late) < _LATE_SAMPLES:
        yield too_few(
            f"needs {_SAMPLES} samples of updates, {_LATE_SAMPLES} of them in the second half of "
            f"the run and after its first {_FIRST_STEPS} steps; has {len(rows)} and {len(late)}"
        )
        return
    if _does_no_harm(trace, learned, agreement):
        return
    threshold = warning if unjudgeable(series, 1) is None else error
    late_ratio = np.array([median(column) for column in ratio[late].T])
    judged = np.isfinite(late_ratio)
    high = judged & (late_ratio > threshold)
    if not high.any() or 2 * high.sum() < judged.sum():
        return
    level = float(np.median(late_ratio[judged]))
    typical = np.array([median(row) for row in ratio[rows]])
    since = lasting(typical > threshold, 1)
    worst = int(np.nanargmax(np.where(high, late_ratio, np.nan)))
    severe = 2 * (judged & (late_ratio > error)).sum() >= judged.sum()
    yield Finding(
        f"each step changes weights by {level:.1%} of their size ({late_ratio[worst]:.1%} in "
        f"{sites[worst].path}), about {in_times(level / _USUAL)} times the usual 0.1%.",
        site=sites[worst],
        steps=span(trace.sampled_steps[late if since is None else rows[since:]]),
        severity=Severity.ERROR if severe else Severity.WARNING,
        evidence={
            "ratio": level,
            "weights": [site.path for site, bad in zip(sites, high, strict=True) if bad],
            "ratios": late_ratio[high].tolist(),
        },
        advice=f"Divide the learning rate by about {rounded(level / _USUAL):g}; {_ADAM}",
        location=optimizer_line(trace, sites[worst]),
    )


def _does_no_harm(trace: Trace, learned: float, agreement: float) -> bool:
    """Whether training works with such steps, whatever their size, or they lead uphill."""
    if remaining_loss(trace) <= learned or is_still_learning(trace) or goes_uphill(trace):
        return True
    if goes_below_frequencies(trace):
        return True
    return falls_steadily(trace) and late_agreement(trace) > agreement


def _shock(trace: Trace, ratio: FloatArray, rows: np.ndarray) -> Finding | None:
    """The first step that changed half of the weight matrices by half, if the loss suffered."""
    known = np.isfinite(ratio)
    changed = (known & (ratio > _OVERWRITES)).sum(axis=1)
    hit = [row for row in rows if 2 * changed[row] >= known[row].sum() > 0]
    told = [origin for origin in origins(trace) if origin.where != "unknown"]
    if told:  # what an optimizer does with a non-finite loss does not count as an update
        hit = [row for row in hit if int(trace.sampled_steps[row]) < told[0].step]
    series = loss_series(trace)
    hit = [row for row in hit if trace.sampled_steps[row] >= series.span[0]]  # in the last phase
    hit = [row for row in hit if not _is_of_its_batch(series, int(trace.sampled_steps[row]))]
    if not hit or unjudgeable(series, 1) is not None:
        return None
    step, size = int(trace.sampled_steps[hit[0]]), median(ratio[hit[0]])
    before, after = series.value[series.step <= step], series.value[series.step > step]
    if not len(before) or (not len(after) and series.nonfinite_from is None):
        return None
    level = median(before[-10:])
    peak = float(after[:_AFTERMATH].max()) if len(after) else float("inf")
    late = after[-max(1, len(series) // 5) :]
    end = median(late)
    error = median_error(noise_scale(late), len(before[-10:]), len(late))
    stayed = not end < 0.9 * level and error < max(0.5 * level, 0.5 * (end - level))
    stayed |= any(abs(end - chance) < _AT_CHANCE * chance > error for chance in _chances(trace))
    broke = series.nonfinite_from is not None and not any(o.is_singular for o in told)
    lost = broke or stayed
    # If the loss jumps as high later without such a step, it did not suffer from this one.
    overshot = peak > _OVERSHOOT * level and peak > max(after[_AFTERMATH:], default=0.0)
    if not lost and not overshot:
        return None
    shown = in_times(size) if size >= 10 else f"{size:.2g}"
    return Finding(
        f"step {step} changed the weights by {shown} times their own size; the loss was "
        f"{level:.3g} before, {peak:.3g} at worst after it and {end:.3g} at the end.",
        steps=(step, int(trace.sampled_steps[hit[-1]])),
        severity=Severity.ERROR if lost else Severity.WARNING,
        evidence={"ratio": size, "step": step, "loss_before": level, "loss_end": end},
        advice=f"Divide the learning rate by about {rounded(size / _FIRST_STEP):g}, so that a "
        f"first step changes weights by a few percent and later ones by 0.1%; {_ADAM}",
        location=optimizer_line(trace),
    )


def _chances(trace: Trace) -> list[float]:
    """The losses of predictors that ignore the input; empty if unknown."""
    batches = training_batches(trace)
    function, unknown = comparable_function(trace, batches)
    return [] if unknown else [chance.value for chance in chance_losses(function, batches)]


def _set_to_zero(trace: Trace, sites: Sequence[Site]) -> BoolArray:
    """[sampled_steps, sites]: where a part of the weights becomes exactly zero by the next sample.

    A constraint or pruning does that, whatever the learning rate.
    """
    zeros = np.nan_to_num(columns(trace, Role.PARAM, "zero_fraction", sites))
    return np.diff(zeros, axis=0, append=zeros[-1:]) > _PRUNED


def _is_of_its_batch(series: LossSeries, step: int) -> bool:
    """Whether the loss was out of all proportion at a step and is back right after it.

    A step's loss is computed before its update: the batch was off, and the large step follows from
    that.
    """
    own = series.value[series.step == step]
    before, after = series.value[series.step < step], series.value[series.step > step]
    if not (len(own) and len(before) and len(after)):
        return False
    return bool(own[0] > _OUTLIER * max(median(before[-10:]), after[:_AFTERMATH].max()))


@rule(
    "UPD02",
    "update-ratio-low",
    Severity.WARNING,
    needs=(Role.PARAM, Role.UPDATE),
    explains=("LOS07", "LOS11", "LOS12", "LOS14", "LOS15", "UPD08"),
    advice="Raise the learning rate, until a step changes weights by 0.1%, and check its unit "
    "and its schedule.",
)
def update_ratio_low(
    trace: Trace,
    *,
    ratio: Annotated[float, "rms(Δw) / rms(w) below which next to nothing changes"] = 1e-5,
    progress: Annotated[float, "relative fall of the loss that counts as progress"] = 0.1,
) -> Iterator[Finding | Skipped]:
    """Steps change the weights next to nothing while the loss is as high as it began.

    About 1e-3 is healthy; at 1e-5 it takes a hundred thousand steps to replace a weight. Judged
    over the second half of the steps whose learning rate is above a tenth of its maximum (no
    warm-up, no decay), for at least half of the weight matrices. Updates that are exactly zero are
    reported by UPD06.
    Source: Karpathy, CS231n, "ratio of weights:updates"; "37 reasons", 33.
    """
    sites = weights(trace)
    series = loss_series(trace)
    if series.optimizers > 1:
        yield Skipped("several optimizers share the steps: their losses cannot be told apart")
        return
    if not len(series):
        yield Skipped("no loss was recorded")
        return
    rows = at_full_rate(trace)
    values = update_ratios(trace, sites)
    values[~(values > 0)] = np.nan
    rows = rows[np.isfinite(values[rows]).any(axis=1)]
    if len(rows) < _SAMPLES:
        yield too_few(f"needs {_SAMPLES} samples of updates at the full learning rate")
        return
    late = rows[len(rows) // 2 :]
    level = np.array([median(column) for column in values[late].T])
    judged = np.isfinite(level)
    low = judged & (level < ratio)
    if 2 * low.sum() < judged.sum() or not low.any():
        return
    if not remaining_loss(trace) >= 1 - progress or has_learned(trace, series):
        return
    typical = float(np.median(level[judged]))
    since = lasting(np.array([median(row) for row in values[rows]]) < ratio, 1)
    yield Finding(
        f"each step changes weights by {typical:.1g} of their size, {in_times(1e-3 / typical)} "
        f"times less than usual, and the loss stays at {median(series.value[-10:]):.3g}.",
        site=sites[int(np.flatnonzero(low)[0])],
        steps=(int(trace.sampled_steps[rows[since or 0]]), int(trace.sampled_steps[rows[-1]])),
        evidence={
            "ratio": typical,
            "weights": [site.path for site, bad in zip(sites, low, strict=True) if bad],
            "learning_rate": median(trace.steps.lr),
        },
        advice=f"Multiply the learning rate by up to {rounded(_USUAL / typical):g}; check its "
        "unit and its schedule.",
        location=optimizer_line(trace, sites[int(np.flatnonzero(low)[0])]),
        not_explained_by=() if _is_for_want_of_signal(trace, typical) else ("ACT01",),
    )


def _is_for_want_of_signal(trace: Trace, ratio: float) -> bool:
    """Whether updates with that ratio may be so small because some layer's outputs are.

    Gradients shrink with the signal, and once more with that of a second layer.
    """
    signals = [median(column) for column in trace.series(Role.ACTIVATION, "rms").T]
    return bool(min((s for s in signals if s > 0), default=1.0) ** 2 < ratio / _USUAL)


def at_full_rate(trace: Trace) -> np.ndarray:
    """Indices of the sampled steps whose learning rate is above a tenth of its maximum."""
    steps = trace.steps
    rate = dict(zip(steps.step.tolist(), steps.lr.tolist(), strict=True))
    sampled = np.array([rate.get(step, np.nan) for step in trace.sampled_steps.tolist()])
    known = finite(steps.lr)
    highest = known.max() if len(known) else 0.0
    return np.flatnonzero(~(sampled < 0.1 * highest))


def has_learned(trace: Trace, series: LossSeries) -> bool:
    """Whether the loss is well below chance, as with a model that had been trained before."""
    chances = _chances(trace)
    level = median(series.value[-max(1, len(series) // 5) :])
    return bool(chances) and level < 0.5 * min(chances)
