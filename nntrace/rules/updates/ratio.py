"""Rules on the true updates Δw: their size relative to the weights."""

from collections.abc import Iterator
from itertools import compress
from typing import Annotated

import numpy as np

from nntrace.rules.common.beside_chance import BesideChance
from nntrace.rules.common.chance import training_batches
from nntrace.rules.common.frequencies import goes_below_frequencies
from nntrace.rules.common.layers import columns, first_finite, update_ratios, weights
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
from nntrace.rules.common.optimizers import ADAM_WANTS_LESS, optimizer_line
from nntrace.rules.common.signals import (
    column_medians,
    finite,
    in_times,
    lasting,
    median,
    rounded,
    span,
)
from nntrace.rules.finding import Finding, Severity, Skipped, too_few
from nntrace.rules.rule import rule
from nntrace.rules.updates.overwritten import overwritten_at_once
from nntrace.schema import Role
from nntrace.trace import Trace

_USUAL = 1e-3  # update ratio
_FIRST_STEPS = 20  # twice what Adam's first moment averages over
_SAMPLES = 10  # sampled steps; with fewer a ratio cannot be called lasting
_LATE_SAMPLES = 3  # of them, in the second half of the run


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
    advice=f"Lower the learning rate, until a step changes weights by 0.1%; {ADAM_WANTS_LESS}",
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
    matrices (without embeddings and those that start at zero). A single step of half the weights'
    size also counts if the loss triples after it, or never gets better than it was or than chance,
    unless the step set weights to zero. With several optimizers or a negative loss only the error
    level counts.

    Nothing is reported

    - if the loss has fallen by a fifth and still falls steadily, or falls so below the entropy of
      uneven labels (a language model's loss keeps most of its size)
    - if successive gradients point the same way, because steps that are too long overshoot: such a
      loss falls as it should, or rises because the steps lead uphill (LOS08)

    Source: Karpathy, CS231n, "ratio of weights:updates"; "37 reasons", 33.
    """
    sites = weights(trace)
    ratio = update_ratios(trace, sites)
    start = first_finite(columns(trace, Role.PARAM, "rms", sites))
    ratio[:, ~(start > 0)] = np.nan
    if (overwritten := overwritten_at_once(trace, sites, ratio)) is not None:
        yield overwritten
        return
    rows = np.flatnonzero(np.isfinite(ratio).any(axis=1))
    series = loss_series(trace)
    first, last = series.span if len(series) else span(trace.steps.step)
    rows = rows[trace.sampled_steps[rows] >= first]  # in the last phase, as the loss
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
    late_ratio = column_medians(ratio[late])
    judged = np.isfinite(late_ratio)
    high = judged & (late_ratio > threshold)
    if not high.any() or 2 * high.sum() < judged.sum():
        return
    level = float(np.median(late_ratio[judged]))
    since = lasting(column_medians(ratio[rows].T) > threshold, 1)
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
            "weights": [site.path for site in compress(sites, high)],
            "ratios": late_ratio[high].tolist(),
        },
        advice=f"Divide the learning rate by about {rounded(level / _USUAL):g}; {ADAM_WANTS_LESS}",
        location=optimizer_line(trace, sites[worst]),
    )


def _does_no_harm(trace: Trace, learned: float, agreement: float) -> bool:
    """Whether training works with such steps, whatever their size, or they lead uphill."""
    learns = is_still_learning(trace) or goes_below_frequencies(trace)
    if remaining_loss(trace) <= learned or learns or goes_uphill(trace):
        return True
    return falls_steadily(trace) and late_agreement(trace) > agreement


@rule(
    "UPD02",
    "update-ratio-low",
    Severity.WARNING,
    needs=(Role.PARAM, Role.UPDATE),
    explains=("LOS07", "LOS11", "LOS12", "LOS14", "LOS15", "UPD06", "UPD08"),
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
    level = column_medians(values[late])
    judged = np.isfinite(level)
    low = judged & (level < ratio)
    if 2 * low.sum() < judged.sum() or not low.any():
        return
    if not remaining_loss(trace) >= 1 - progress or has_learned(trace, series):
        return
    typical = float(np.median(level[judged]))
    since = lasting(column_medians(values[rows].T) < ratio, 1)
    yield Finding(
        f"each step changes weights by {typical:.1g} of their size, {in_times(1e-3 / typical)} "
        f"times less than usual, and the loss stays at {median(series.value[-10:]):.3g}.",
        site=sites[int(np.flatnonzero(low)[0])],
        steps=span(trace.sampled_steps[rows[since or 0 :]]),
        evidence={
            "ratio": typical,
            "weights": [site.path for site in compress(sites, low)],
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
    signals = column_medians(trace.series(Role.ACTIVATION, "rms"))
    return bool(min((s for s in signals if s > 0), default=1.0) ** 2 < ratio / _USUAL)


def at_full_rate(trace: Trace) -> np.ndarray:
    """Indices of the sampled steps whose learning rate is above a tenth of its maximum.

    Only the last phase of the training counts, as for the loss.
    """
    steps = trace.steps
    series = loss_series(trace)
    first = series.span[0] if len(series) else 0
    rate = dict(zip(steps.step.tolist(), steps.lr.tolist(), strict=True))
    sampled = np.array([rate.get(step, np.nan) for step in trace.sampled_steps.tolist()])
    known = finite(steps.lr[steps.step >= first])
    highest = known.max() if len(known) else 0.0
    return np.flatnonzero(~(sampled < 0.1 * highest) & (trace.sampled_steps >= first))


def has_learned(trace: Trace, series: LossSeries) -> bool:
    """Whether the loss is well below chance, as with a model that had been trained before."""
    lowest = BesideChance(trace, training_batches(trace)).lowest
    return lowest is not None and series.end < 0.5 * lowest
