"""Rules on gradients: do they reach the first layers, stay bounded, and get cleared?"""

from collections.abc import Iterator
from typing import Annotated

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from nntrace.rules.common.depth import is_of_sigmoids
from nntrace.rules.common.layers import columns, named, weights
from nntrace.rules.common.optimizers import backward_line, norms_by_optimizer, optimizer_line
from nntrace.rules.common.signals import (
    in_times,
    lasting,
    median,
    median_error,
    medians_around,
    noise_scale,
    span,
)
from nntrace.rules.finding import Finding, Severity, Skipped, too_few
from nntrace.rules.rule import rule
from nntrace.schema import Role
from nntrace.trace import Trace
from nntrace.trace.model import BoolArray, FloatArray, IntArray

_WINDOW = 50  # samples of the running median
_EARLY = 10  # samples that show the gradient's scale at the start
_SPIKE_SHARE = 0.005  # spikes rarer than one in 200 samples are accidents of single batches


@rule(
    "GRD01",
    "vanishing-gradient",
    Severity.WARNING,
    needs=(Role.PARAM_GRAD,),
    explains=("UPD02", "UPD03", "UPD06", "LOS07", "LOS11", "LOS12", "LOS14", "INI03", "ACT06"),
    advice="Use ReLU-like activations with He's initialisation, residual connections or "
    "normalisation, so that the gradient reaches the first layers.",
)
def vanishing_gradient(
    trace: Trace,
    *,
    ratio: Annotated[float, "gradient of the first layer relative to that of the last"] = 1e-4,
    floor: Annotated[float, "rms below which the first layer's gradient counts as gone"] = 1e-7,
    samples: Annotated[int, "sampled steps at the end of the run in which it must hold"] = 10,
) -> Iterator[Finding | Skipped]:
    """The gradient that reaches the first layers is a vanishing part of the last layer's.

    The first layers then stay random while the last ones learn on noise. Compares the root mean
    square of weight gradients, first layer against last in depth order: a warning if it vanishes
    until the end of the run, an error if it did so all along. Layers whose gradient is exactly zero
    have another fault and are left out. If sigmoids, whose slope is at most a quarter, also shrink
    the signal on its way forward (ACT02), this rule names the cause. So it does if the gradient is
    gone from the first step on: a weight decay that outweighs what is left (UPD12), and the
    weights that fade (PAR03), came later.
    Source: "37 reasons", 30 (vanishing gradients); Glorot & Bengio 2010.
    """
    sites = weights(trace, Role.PARAM_GRAD)
    size = columns(trace, Role.PARAM_GRAD, "rms", sites)
    usable = np.isfinite(size) & (size > 0)
    rows = np.flatnonzero(usable.sum(axis=1) > 1)
    if len(rows) < samples:
        yield too_few(f"needs {samples} samples with gradients of two layers, has {len(rows)}")
        return
    first = usable[rows].argmax(axis=1)
    last = usable.shape[1] - 1 - usable[rows][:, ::-1].argmax(axis=1)
    at_first, at_last = size[rows, first], size[rows, last]
    gone = (at_first < ratio * at_last) & (at_first < floor)
    # It may have begun after half of the run, and single large batches do not count.
    start = max(0, len(rows) - max(samples, len(rows) // 2))
    if gone[start:].mean() < 0.9 or not gone[-1]:
        return
    all_along = bool(gone.mean() >= 0.9)
    since = 0 if all_along else (lasting(gone, 1) or start)
    low, high = float(np.median(at_first[since:])), float(np.median(at_last[since:]))
    one, other = sites[first[-1]], sites[last[-1]]
    by_slope = ("ACT02",) if is_of_sigmoids(trace) else ()
    at_once = bool(gone[:samples].all())
    yield Finding(
        f"the gradient vanishes on its way back: rms {low:.2g} at {one.path}, {high:.2g} at "
        f"{other.path}, a ratio of {low / high:.1g}.",
        site=one,
        steps=span(trace.sampled_steps[rows[since:]]),
        severity=Severity.ERROR if all_along else Severity.WARNING,
        not_explained_by=(*by_slope, *(("UPD12", "PAR03") if at_once else ())),
        explains=(*by_slope, *(("UPD12",) if at_once else ())),
        evidence={"first": one.path, "first_rms": low, "last": other.path, "last_rms": high},
    )


@rule(
    "GRD02",
    "exploding-gradient",
    Severity.ERROR,
    explains=("GRD05", "LOS07", "LOS08", "LOS09", "LOS10", "NUM01", "NUM03", "NUM05", "NUM09"),
    advice="Clip the gradient norm (`clip_grad_norm_`, 1.0 to begin with), lower the learning "
    "rate, and check the initialisation of recurrent and deep layers.",
    in_keras="Clip the gradient norm (`global_clipnorm=1.0` of the optimizer to begin with), "
    "lower the learning rate, and check the initialisation of recurrent and deep layers.",
)
def exploding_gradient(
    trace: Trace,
    *,
    factor: Annotated[float, "gradient norm relative to its running median"] = 100.0,
    growth: Annotated[float, "growth from one sample to the next"] = 2.0,
    growth_samples: Annotated[int, "samples in a row that grow so"] = 5,
) -> Iterator[Finding | Skipped]:
    """The global gradient norm jumps far above its usual value, again and again or with harm.

    Such a step undoes what hundreds of steps have learned. The usual value is the larger of the
    running median and the norm at the start, so that neither late spikes of a converged run nor
    gradients that begin tiny count. A single jump is reported unless the loss improves with it (as
    at the end of a plateau); a lasting rise and steady doubling only if the loss is worse from then
    on.
    Source: Pascanu et al. 2013; "37 reasons", 30 (exploding gradients).
    """
    steps = trace.steps
    judged = False
    for optimizer, own, at in norms_by_optimizer(trace):
        if len(at) <= growth_samples:
            continue
        judged, norm = True, steps.grad_norm[at]
        usual = _usual(norm, factor)
        over = norm > factor * usual
        spikes = np.flatnonzero(over & ~np.concatenate([[False], over[:-1]]))
        doubling = _doubling_run(norm, growth, growth_samples)
        is_jump = len(spikes) > 0 and not over[-1] and over.sum() == len(spikes)
        frequent = len(spikes) >= _SPIKE_SHARE * len(norm)
        if frequent and (len(spikes) > 1 or (is_jump and not _helps(steps.loss, own, at[spikes]))):
            peak = int(np.argmax(np.where(over, norm / usual, 0)))
            times = f"; {len(spikes)} such jumps in all" if len(spikes) > 1 else ""
            message = (
                f"the gradient norm jumps: {norm[peak]:.3g} at step {steps.step[at[peak]]}, "
                f"{in_times(norm[peak] / usual[peak])} times its usual {usual[peak]:.3g}{times}."
            )
            first, last = int(spikes[0]), int(np.flatnonzero(over)[-1])
        elif len(spikes) and _does_harm(steps.loss, own, at[spikes[0]], at[spikes[0]]):
            first, last = int(spikes[0]), len(norm) - 1
            message = (
                f"the gradient norm jumped to {norm[first]:.3g} at step {steps.step[at[first]]}, "
                f"{in_times(norm[first] / usual[first])} times its usual {usual[first]:.3g}, and "
                "the loss has been worse since."
            )
        elif doubling is not None and _does_harm(steps.loss, own, at[doubling], at[doubling] + 1):
            first, last = doubling, doubling + growth_samples
            message = (
                f"the gradient norm grew from {norm[first]:.3g} at step {steps.step[at[first]]} "
                f"to {norm[last]:.3g} at step {steps.step[at[last]]}, and the loss with it."
            )
        else:
            continue
        yield Finding(
            message,
            steps=(int(steps.step[at[first]]), int(steps.step[at[last]])),
            evidence={
                "optimizer": optimizer,
                "steps": steps.step[at[spikes]].tolist()[:100],
                "largest": float(norm.max()),
                "usual": float(usual[-1]),
            },
        )
    if not judged:
        yield too_few(f"needs more than {growth_samples} samples of the gradient norm")


def _usual(norm: FloatArray, factor: float) -> FloatArray:
    """The norm that each sample is compared with, computed from earlier samples only.

    The median of the last samples is computed only where it can matter: where the norm is `factor`
    times that at the start, and at the end of the run.
    """
    first = [np.median(norm[:count]) for count in range(1, min(_EARLY, len(norm)) + 1)]
    start = np.full(len(norm), first[-1])
    start[1 : len(first)] = first[:-1]
    high = np.union1d(np.flatnonzero(norm > factor * start), len(norm) - 1)
    recent = medians_around(norm, high, _WINDOW, 0)
    return np.where(np.arange(len(norm)) < 3, np.inf, np.fmax(recent, start))


def _doubling_run(norm: FloatArray, growth: float, samples: int) -> int | None:
    """Index of the sample after which each of the next ones is `growth` times the one before."""
    grows = norm[1:] >= growth * norm[:-1]
    if len(grows) < samples:
        return None
    runs = np.flatnonzero(sliding_window_view(grows, samples).all(axis=1))
    return int(runs[0]) if len(runs) else None


def _helps(loss: FloatArray, own: BoolArray, jump: IntArray) -> bool:
    """Whether the loss falls by a third after the gradient jumps: then learning has begun."""
    known = own & np.isfinite(loss)
    place = int(jump[0])
    before, after = loss[:place][known[:place]], loss[place + 1 :][known[place + 1 :]]
    return median(after[:_WINDOW]) < 0.7 * median(before[-_WINDOW:])


def _does_harm(loss: FloatArray, own: BoolArray, start: np.int64, before_until: np.int64) -> bool:
    """Whether the loss is worse from `start` on than up to `before_until`, or is not finite."""
    earlier, later = loss[:before_until][own[:before_until]], loss[start:][own[start:]]
    known = np.isfinite(earlier)
    earlier = earlier[known][-_WINDOW:]
    if not len(earlier):
        return False
    if len(later) and not np.isfinite(later[-1]):
        return bool(np.isfinite(later).any() and np.nanmax(later) > np.median(earlier))
    later = later[np.isfinite(later)]
    if len(later) < 3:
        return False
    level, worse = median(earlier), median(later)
    error = median_error(noise_scale(earlier), len(earlier), len(later))
    return worse - level > max(0.2 * abs(level), 4 * error)


@rule(
    "GRD06",
    "gradients-accumulate",
    Severity.ERROR,
    explains=(
        *("ACT01", "ACT03", "ACT04", "ACT05", "GRD02", "GRD05", "GRD09", "UPD01", "PAR01", "PAR02"),
        *("LOS07", "LOS08", "LOS09", "LOS10", "LOS11", "LOS12", "NUM01", "NUM09"),
    ),
    advice="Call `optimizer.zero_grad()` once per optimizer step, before the backward pass.",
    in_keras="Start each step from new gradients: reset the variables they are added to after "
    "each `apply_gradients`.",
)
def gradients_accumulate(
    trace: Trace,
    *,
    share: Annotated[float, "share of the sampled steps that began with old gradients"] = 0.5,
    samples: Annotated[int, "sampled steps that are needed"] = 3,
) -> Iterator[Finding | Skipped]:
    """Backward passes add to gradients that an optimizer step has already used.

    Every step then follows the sum of all gradients so far, like momentum without decay.
    Accumulating over micro-batches is different: there the gradients are cleared after the step.
    Source: Karpathy's most common mistakes ("you forgot to .zero_grad()"); "37 reasons", 26.
    """
    cleared = trace.steps.gradients_cleared
    known = np.isfinite(cleared)
    at: IntArray = trace.steps.step[known]
    if len(at) < samples:
        yield too_few(f"needs {samples} steps at which clearing could be seen, has {len(at)}")
        return
    names = np.array(trace.steps.optimizer)[known]
    kept = cleared[known] == 0
    blamed = [
        name
        for name in dict.fromkeys(names.tolist())
        if (names == name).sum() >= samples and kept[names == name].mean() > share
    ]
    if not blamed:
        return
    theirs = np.isin(names, blamed)
    steps = at[kept & theirs]
    whose = "" if len(blamed) == len(set(names)) else f" of {named(blamed)}"
    yield Finding(
        f"gradients are not cleared between optimizer steps{whose}: {len(steps)} of "
        f"{int(theirs.sum())} sampled steps began with the gradients of the step before.",
        steps=(int(steps[0]), int(steps[-1])),
        evidence={"not_cleared": len(steps), "looked": int(theirs.sum())},
        # Each of several optimizers may have a line of its own.
        location=backward_line(trace)
        if len(set(names)) == 1
        else optimizer_line(trace, name=blamed[0] if len(blamed) == 1 else None),
    )
