"""PRB07: which learning rates are useful, and where the script's own lies."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Final

import numpy as np

from nntrace.rules.common.signals import MAD_TO_STD, median
from nntrace.rules.finding import Finding, Severity, Skipped
from nntrace.rules.probes.experiments import problem, told
from nntrace.rules.probes.one_batch import fit
from nntrace.rules.rule import rule
from nntrace.trace import Trace
from nntrace.trace.model import FloatArray

_SMOOTHED: Final = 5
_USEFUL: Final = 0.1  # of the whole fall
_AWAY: Final = 1.0  # times the whole fall, above the start
_BELOW_LOWEST: Final = 3.0  # the loss is lowest only shortly before it runs away
_NARROWEST: Final = 10.0  # times, from end to end: a sweep makes few steps at each rate
_NOISE: Final = 5.0  # times the noise of the first losses: a larger fall is not chance
_HALF_WAY: Final = 0.5
_COVERED: Final = 2.0  # times the last rate of a sweep: it says nothing about higher rates
_BELOW_WITH_PROOF: Final = 3.0  # times below the range, if one batch needs a rate of the range


@dataclass(frozen=True, slots=True)
class Sweep:
    """A learning-rate sweep.

    Attributes:
        rates, losses: the curve; losses are smoothed.
        low, high: the range in which the loss fell, at least a decade; None if none was found.
        steepest: the rate at which the loss fell most per decade.
        limit: the rate from which the loss ran away; None if it never did.
        own: the program's own rate, before any warm-up or decay.
    """

    rates: FloatArray
    losses: FloatArray
    low: float | None
    high: float | None
    steepest: float | None
    limit: float | None
    own: float | None


def sweep(trace: Trace) -> Sweep | None:
    """Read the curve of the sweep; None if it is too short."""
    rates, losses = trace.steps.lr, trace.steps.loss
    usable = np.isfinite(rates) & (rates > 0)
    rates, losses = rates[usable], losses[usable]
    rate = told(trace).get("rate")
    own = float(rate) if isinstance(rate, int | float) and rate > 0 else None
    finite = np.isfinite(losses)
    limit: float | None = None
    limit_index = int(np.flatnonzero(~finite)[0]) if not finite.all() else len(losses)
    if limit_index < 4 * _SMOOTHED:
        return None
    rates, losses = rates[: limit_index + 1], losses[: limit_index + 1]
    smooth = _smoothed(losses[:limit_index])
    head = losses[: max(2 * _SMOOTHED, len(losses) // 6)]
    start = median(head)
    noise = median(np.abs(head - start)) * MAD_TO_STD
    lowest = int(np.argmin(smooth))
    fall = start - float(smooth[lowest])
    if fall <= _NOISE * noise / np.sqrt(_SMOOTHED) or fall <= 0.02 * abs(start):
        return Sweep(rates[: len(smooth)], smooth, None, None, None, None, own)
    away = np.flatnonzero(smooth[lowest:] > start + _AWAY * fall)
    if len(away):
        limit = float(rates[lowest + away[0]])
    else:
        limit = float(rates[limit_index]) if limit_index < len(rates) else None
    before = np.flatnonzero(smooth[:lowest] > start - _USEFUL * fall)
    useful = int(before[-1]) + 1 if len(before) else 0
    begin = max(min(useful, lowest - 1), 0)  # the first of the steps in which it falls
    # A training step of several optimizer steps makes these at one rate.
    falling = begin + np.unique(rates[begin : lowest + 1], return_index=True)[1]
    several = len(falling) > 1
    slope = np.gradient(smooth[falling], np.log10(rates[falling])) if several else np.zeros(1)
    high = max(float(rates[lowest]) / _BELOW_LOWEST, float(rates[useful]))
    return Sweep(
        rates=rates[: len(smooth)],
        losses=smooth,
        low=min(float(rates[useful]), high / _NARROWEST),
        high=high,
        steepest=float(rates[falling[int(np.argmin(slope))]]),
        limit=limit,
        own=own,
    )


def _smoothed(values: FloatArray) -> FloatArray:
    """A running median, which single batches do not change; edges stay where they are."""
    padded = np.pad(values, _SMOOTHED // 2, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, _SMOOTHED)
    smooth: FloatArray = np.median(windows, axis=1)
    return smooth


@rule(
    "PRB07",
    "lr-range",
    Severity.WARNING,
    advice="Start within the range, nearer to its upper end, and warm up if the first steps "
    "are unstable.",
    explains=("PRB01", "LOS07", "LOS08", "UPD01", "UPD02"),
    experiments=("sweep",),
)
def lr_range(
    trace: Trace,
    *,
    above: Annotated[float, "factor above the rate at which the loss diverged"] = 3.0,
    below: Annotated[float, "factor below the lowest rate at which the loss fell"] = 50.0,
) -> Iterator[Finding | Skipped]:
    """The script's learning rate lies outside the range in which the loss falls.

    In one run the rate grows by a constant factor at every step, from 1e-7 to 10, or further around
    the script's own; if steps are slow, by a larger factor, to finish in time. The range begins
    where the loss has fallen by a tenth of its whole fall and ends at a third of the rate at which
    it is lowest (or where the range begins). It is at least a decade wide, because it takes some
    steps to see a fall, in which the rate grows. The script's rate is the one that it sets before
    any warm-up or decay. If one batch is fitted only at a rate from the range (PRB01), a rate below
    a third of the range's lower end is too low.

    Source: Smith, Cyclical Learning Rates (2017), section 3.3; Karpathy, A Recipe.
    """
    run = trace.under("sweep")
    assert run is not None
    if reason := problem(run):
        yield Skipped(reason)
        return
    found = sweep(run)
    if found is None or found.own is None:
        yield Skipped("the sweep ended too early, or the optimizer has no learning rate")
        return
    last = float(found.rates[-1])
    if found.limit is None and found.own > _COVERED * last:
        yield Skipped(
            f"the script ended when the sweep was at a rate of {last:.1e}, before it reached the "
            f"script's own ({found.own:.1e}); let the script make more steps, or sweep faster with "
            f"`nntrace check --steps {len(run.steps)}`"
        )
        return
    if found.low is None or found.high is None:
        yield Skipped("the loss fell beyond its noise at no rate of the sweep")
        return
    range_text = f"{found.low:.1e} to {found.high:.1e}"
    evidence = {
        "rate": found.own,
        "lowest_useful": found.low,
        "highest_useful": found.high,
        "steepest": found.steepest,
        "ran_away_at": found.limit,
    }
    if found.limit is not None and found.own > above * found.limit:
        yield Finding(
            f"The learning rate {found.own:.1e} is too high: the loss already diverged at "
            f"{found.limit:.1e}; it fell at rates from {range_text}.",
            evidence=evidence,
        )
    elif found.own < found.low / (_BELOW_WITH_PROOF if _fits_at_another_rate(trace) else below):
        yield Finding(
            f"The learning rate {found.own:.1e} is too low: the loss fell at rates from "
            f"{range_text}.",
            evidence=evidence,
        )


def _fits_at_another_rate(trace: Trace) -> bool:
    """Whether one batch was fitted at a rate of the sweep, and never will be at the script's own.

    A loss that has come half the way to its floor and still falls will get there, if slowly, as
    when a trained model is trained further.
    """
    own, other = (trace.under(name) for name in ("overfit", "overfit-other-rate"))
    here, there = (None if run is None or problem(run) else fit(run) for run in (own, other))
    if here is None or there is None:
        return False
    is_on_its_way = here.falling and here.share >= _HALF_WAY
    return there.reached and not here.reached and not is_on_its_way
