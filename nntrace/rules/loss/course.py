"""Rules on the shape of the loss curve: spikes, oscillation, an end that comes too early."""

from collections.abc import Iterable, Iterator
from typing import Annotated

import numpy as np

from nntrace.rules.common.chance import training_batches
from nntrace.rules.common.loss_course import loss_series, unjudgeable
from nntrace.rules.common.passes import makes_targets
from nntrace.rules.common.signals import (
    finite,
    least_around,
    median,
    medians_around,
    noise_scale,
    spreads_around,
    trend_z,
    window_medians,
)
from nntrace.rules.finding import Finding, Severity, Skipped
from nntrace.rules.loss.stopped import stopped_while_better
from nntrace.rules.rule import rule
from nntrace.schema import RunStatus
from nntrace.trace import Trace
from nntrace.trace.model import BoolArray

_SETTLING = 20  # steps at the start, in which the loss still falls steeply
_HALF_WINDOW = 25
_START = 5  # steps whose losses count as the start


@rule(
    "LOS09",
    "loss-spike",
    Severity.WARNING,
    explains=("LOS08",),
    advice="Clip gradients (`clip_grad_norm_` at about the median norm), lengthen the warm-up, or "
    "lower the learning rate; look at the batch of the step before.",
    in_keras="Clip gradients (`global_clipnorm` of the optimizer, at about the median norm), "
    "lengthen the warm-up, or lower the learning rate; look at the batch of the step before.",
)
def loss_spike(
    trace: Trace,
    *,
    deviations: Annotated[float, "robust standard deviations above the local median"] = 10.0,
    height: Annotated[float, "rise relative to the loss at the start"] = 0.5,
    lasting_steps: Annotated[int, "steps in a row that the loss stays high"] = 3,
    steps: Annotated[int, "optimizer steps with a loss that are needed"] = 50,
) -> Iterator[Finding | Skipped]:
    """The loss jumped far above its neighbourhood and took several steps to come back.

    Steps of that size undo learning, and in the end one of them does not recover. A single high
    value is a hard batch, not a spike, and a rise by less than half of the loss at the start does
    not count. Not judged if a network makes the targets of the steps, because the loss jumps
    whenever that network is renewed.
    Source: Zhai et al. 2023 (2303.06296) and PaLM (2204.02311), 5.1, on loss spikes; "37 reasons",
    31 and 33.
    """
    series = loss_series(trace)
    if skipped := unjudgeable(series, steps):
        yield skipped
        return
    if makes_targets(trace):
        yield Skipped("a network makes the targets of the steps, and they jump when it is updated")
        return
    values = series.value
    start = float(np.median(values[: min(10, _SETTLING)]))
    may_be = values - least_around(values, _HALF_WINDOW) > height * abs(start)
    may_be[:_SETTLING] = False
    level = medians_around(values, np.flatnonzero(may_be), _HALF_WINDOW, _HALF_WINDOW)
    rise = values - level
    high = rise > height * abs(start)
    places = np.flatnonzero(high)
    spread = np.zeros(len(values))
    near = spreads_around(values, level, places, _HALF_WINDOW, _HALF_WINDOW)
    spread[places] = np.maximum(near, noise_scale(values))
    high &= rise > deviations * spread
    for first, last in _runs(high, gap=2):
        if high[first : last + 1].sum() < lasting_steps:  # steps between may be low
            continue
        peak = first + int(np.where(high, values, -np.inf)[first : last + 1].argmax())
        recovered = last < len(values) - 1
        yield Finding(
            f"the loss jumped from {level[first]:.3g} to {values[peak]:.3g} at step "
            f"{series.step[peak]} and "
            + (
                f"took {last - first + 1} steps to come back."
                if recovered
                else "had not come back at the end."
            ),
            steps=(int(series.step[first]), int(series.step[last])),
            evidence={
                "level": float(level[first]),
                "peak": float(values[peak]),
                "deviations": float(rise[peak] / max(spread[peak], 1e-30)),
                "steps_above": last - first + 1,
            },
        )
        return


@rule(
    "LOS10",
    "loss-oscillating",
    Severity.WARNING,
    explains=("GRD09",),
    advice="Divide the learning rate by about three, or lower the momentum.",
)
def loss_oscillating(
    trace: Trace,
    *,
    alternating: Annotated[
        float, "share of successive changes of the loss with opposite signs"
    ] = 0.85,
    amplitude: Annotated[float, "median change relative to the level of the loss"] = 0.1,
    progress: Annotated[float, "median change relative to the progress over the same steps"] = 0.5,
    steps: Annotated[int, "optimizer steps with a loss that are needed"] = 40,
    matters: Annotated[float, "median change relative to the first losses"] = 3e-3,
) -> Iterator[Finding | Skipped]:
    """The loss goes up and down from step to step, and makes hardly any progress.

    The step overshoots the valley it descends, and the changes alternate in sign. Noise alternates,
    too, in two of three steps; more than that comes from the steps, not from the batches. Judged
    over the second half of the run. Not judged if two batches or two loss functions take turns,
    whose losses differ, nor if next to nothing of the first losses is left.
    Source: "37 reasons", 33 (learning rate); Cohen et al. 2021 (2103.00065).
    """
    series = loss_series(trace)
    if skipped := unjudgeable(series, steps):
        yield skipped
        return
    if turns_of := _take_turns(trace):
        yield Skipped(f"two {turns_of} take turns: their losses differ")
        return
    half = series.second_half
    values, change = half.value, np.diff(half.value)
    turns = float(np.mean(change[1:] * change[:-1] < 0.0))
    size, level = median(np.abs(change)), median(values)
    # Three standard errors beyond the share that noise reverses (two thirds): short runs need more.
    surely = turns > max(alternating, 2 / 3 + 3 * np.sqrt(8 / 45 / max(1, len(change))))
    quarter = max(1, len(values) // 4)
    moved = abs(median(values[:quarter]) - median(values[-quarter:]))
    if not surely or size <= amplitude * level or size <= progress * moved:
        return
    if size <= matters * abs(median(series.value[:_START])):
        return
    yield Finding(
        f"the loss goes up and down by {size:.3g} around {level:.3g}: {turns:.0%} of its changes "
        f"reverse the one before, while it moved by {moved:.2g} over {len(values)} steps.",
        steps=half.span,
        evidence={"alternating": turns, "change": size, "level": level, "progress": moved},
    )


@rule(
    "LOS15",
    "still-improving",
    Severity.INFO,
    advice="Train longer: double the steps, and stretch the learning-rate schedule with them.",
)
def still_improving(
    trace: Trace,
    *,
    improvement: Annotated[
        float, "fall over the last quarter of the run relative to the loss there"
    ] = 0.1,
    errors: Annotated[float, "Mann–Kendall statistic of the last quarter"] = 5.0,
    steps: Annotated[int, "optimizer steps with a loss that are needed"] = 100,
) -> Iterator[Finding | Skipped]:
    """Training ended while the loss was still falling steadily.

    Networks go on improving for long, and a run cut short says little about the model. Information.
    Not judged if the learning rate had decayed by the end, nor for a run that is still going on. A
    warning if an `EarlyStopping` of Keras ended a run of less than half the planned epochs although
    its metric still got better: in every epoch, but by less than `min_delta` allows (more than a
    tenth of what was left in all), or until a single epoch was worse by a fraction of the gains
    before it.
    Source: Karpathy's Recipe, step 6 (leave it training); "37 reasons", 32 (give it time).
    """
    if trace.status is RunStatus.RUNNING:
        yield Skipped("the run is still going on")
        return
    if stopped := stopped_while_better(trace):
        yield stopped
        return
    series = loss_series(trace)
    if skipped := unjudgeable(series, steps):
        yield skipped
        return
    rates = finite(trace.steps.lr)
    if len(rates) and rates[-1] < 0.2 * rates.max():
        return
    last = series.value[-(len(series) // 4) :]
    begin, end = (float(part) for part in window_medians(last, 4)[[0, -1]])
    fall = begin - end
    if fall <= improvement * abs(begin) or trend_z(last) >= -errors:
        return
    yield Finding(
        f"the loss was still falling at the end: from {begin:.3g} to {end:.3g} over the last "
        f"{len(last)} steps.",
        steps=(int(series.step[-len(last)]), series.span[1]),
        evidence={"from": begin, "to": end, "fall": fall / abs(begin)},
    )


def _runs(holds: BoolArray, gap: int) -> list[tuple[int, int]]:
    """First and last index of each run of true values, joined over gaps of at most `gap`."""
    found: list[tuple[int, int]] = []
    for place in np.flatnonzero(holds).tolist():
        if found and place - found[-1][1] <= gap:
            found[-1] = (found[-1][0], place)
        else:
            found.append((place, place))
    return found


def _take_turns(trace: Trace) -> str:
    """What takes turns between even and odd steps, two batches or loss functions; else empty."""
    shown = [batch for batch in training_batches(trace) if batch.fingerprint is not None]
    batches = _by_parity((batch.step, batch.fingerprint) for batch in shown)
    if len(batches[0]) == len(batches[1]) == 1 and batches[0] != batches[1]:
        return "batches"
    told = [batch for batch in training_batches(trace) if batch.loss_path]
    functions = _by_parity((batch.step, batch.loss_path) for batch in told)
    return "loss functions" if all(functions) and functions[0].isdisjoint(functions[1]) else ""


def _by_parity(values: Iterable[tuple[int, object]]) -> tuple[set[object], set[object]]:
    even_and_odd: tuple[set[object], set[object]] = set(), set()
    for step, value in values:
        even_and_odd[step % 2].add(value)
    return even_and_odd
