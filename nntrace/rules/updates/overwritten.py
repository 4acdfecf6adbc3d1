"""A part of UPD01: a single step that overwrote the weights, and what became of the loss after."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nntrace.rules.common.beside_chance import BesideChance
from nntrace.rules.common.chance import training_batches
from nntrace.rules.common.layers import columns
from nntrace.rules.common.loss_course import LossSeries, loss_series, unjudgeable
from nntrace.rules.common.optimizers import ADAM_WANTS_LESS, optimizer_line
from nntrace.rules.common.signals import in_times, median, median_error, noise_scale, rounded
from nntrace.rules.finding import Finding, Severity
from nntrace.rules.numerics.origins import located_origins
from nntrace.schema import Role
from nntrace.trace import Site, Trace
from nntrace.trace.model import BoolArray, FloatArray

_OVERWRITES = 0.5  # an update half as large as the weights
_PRUNED = 0.1  # of a layer's weights
_FIRST_STEP = 0.03  # update ratio of Adam's first steps, of full size in every direction
_BEFORE = 10  # steps whose losses are the level before
_OVERSHOOT = 3.0  # times the level before; healthy runs do not rise above their first loss
_OUTLIER = 10.0  # times the losses around it: a batch caused that, not a step
_AT_CHANCE = 0.03  # as in LOS11
_AFTERMATH = 50  # steps in which a loss overshoots


@dataclass(frozen=True, slots=True)
class _Course:
    """The loss around a step.

    Attributes:
        before: its level before the step.
        peak: the highest loss soon after it; infinite if none was finite.
        end: its level at the end of the run.
        is_lost: whether it never got better than it was, or than chance, or is not finite.
        overshot: whether it rose far above its level, and never as high again later.
    """

    before: float
    peak: float
    end: float
    is_lost: bool
    overshot: bool


def overwritten_at_once(trace: Trace, sites: Sequence[Site], ratio: FloatArray) -> Finding | None:
    """The finding on a step that changed half of the matrices by half, if the loss suffered.

    Args:
        trace: the run.
        sites: the weight matrices.
        ratio: [sampled_steps, sites], rms(Δw) / rms(w); NaN where it is not known.
    """
    series = loss_series(trace)
    ratio = np.where(_set_to_zero(trace, sites), np.nan, ratio)
    rows = _overwriting(trace, series, ratio)
    if not rows or unjudgeable(series, 1) is not None:
        return None
    step, size = int(trace.sampled_steps[rows[0]]), median(ratio[rows[0]])
    loss = _course(trace, series, step)
    if loss is None or not (loss.is_lost or loss.overshot):
        return None
    shown = in_times(size) if size >= 10 else f"{size:.2g}"
    return Finding(
        f"step {step} changed the weights by {shown} times their own size; the loss was "
        f"{loss.before:.3g} before, {loss.peak:.3g} at worst after it and {loss.end:.3g} at the "
        "end.",
        steps=(step, int(trace.sampled_steps[rows[-1]])),
        severity=Severity.ERROR if loss.is_lost else Severity.WARNING,
        evidence={"ratio": size, "step": step, "loss_before": loss.before, "loss_end": loss.end},
        advice=f"Divide the learning rate by about {rounded(size / _FIRST_STEP):g}, so that a "
        f"first step changes weights by a few percent and later ones by 0.1%; {ADAM_WANTS_LESS}",
        location=optimizer_line(trace),
    )


def _overwriting(trace: Trace, series: LossSeries, ratio: FloatArray) -> list[int]:
    """The rows of the steps that overwrote half of the weight matrices, with finite losses."""
    known = np.isfinite(ratio).sum(axis=1)
    changed = (ratio > _OVERWRITES).sum(axis=1)  # NaN is not
    steps = trace.sampled_steps
    in_last_phase = steps >= series.span[0]
    # What an optimizer does with a non-finite loss does not count as an update.
    broken = located_origins(trace)
    before_break = steps < broken[0].step if broken else np.ones(len(steps), dtype=bool)
    rows = np.flatnonzero((known > 0) & (2 * changed >= known) & in_last_phase & before_break)
    return [row for row in rows.tolist() if not _is_of_its_batch(series, int(steps[row]))]


def _course(trace: Trace, series: LossSeries, step: int) -> _Course | None:
    """The loss around a step; None if it is not known before or after it."""
    before, after = series.value[series.step <= step], series.value[series.step > step]
    if not len(before) or (not len(after) and series.nonfinite_from is None):
        return None
    level = median(before[-_BEFORE:])
    late = after[-max(1, len(series) // 5) :]
    end = median(late)
    error = median_error(noise_scale(late), len(before[-_BEFORE:]), len(late))
    stayed = not end < 0.9 * level and error < max(0.5 * level, 0.5 * (end - level))
    chances = _chances(trace)
    stayed |= any(abs(end - chance) < _AT_CHANCE * chance > error for chance in chances)
    broke = series.nonfinite_from is not None and not any(
        origin.is_singular for origin in located_origins(trace)
    )
    peak = float(after[:_AFTERMATH].max()) if len(after) else float("inf")
    return _Course(
        before=level,
        peak=peak,
        end=end,
        is_lost=broke or stayed,
        overshot=peak > _OVERSHOOT * level and peak > max(after[_AFTERMATH:], default=0.0),
    )


def _chances(trace: Trace) -> list[float]:
    """The losses of predictors that ignore the input; empty if the loss cannot be compared."""
    loss = BesideChance(trace, training_batches(trace))
    return [] if loss.unknown else [chance.value for chance in loss.chances]


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
    return bool(own[0] > _OUTLIER * max(median(before[-_BEFORE:]), after[:_AFTERMATH].max()))
