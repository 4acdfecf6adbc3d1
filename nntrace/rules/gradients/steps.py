"""Rules on gradients from step to step: clipped, noisy, and updates that undo each other."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

import numpy as np

from nntrace.rules.common.chance import training_batches
from nntrace.rules.common.loss_course import loss_series, unjudgeable
from nntrace.rules.common.optimizers import CLIPPING, are_scale_free, optimizer_line
from nntrace.rules.common.payloads import number, place, text
from nntrace.rules.common.signals import lasting, median, trend_z
from nntrace.rules.finding import Finding, Severity, Skipped, too_few
from nntrace.rules.rule import rule
from nntrace.schema import EventKind, Role
from nntrace.trace import Event, Trace

_FEW = 4  # examples; the mean of a batch of so few is hardly one
_SIGNAL_OF_ALL = 3.0  # times the noise; with less, all steps together lead nowhere
_FALLS = -2.0  # trend statistic of a falling loss


@rule(
    "GRD07",
    "clipping-always-active",
    Severity.WARNING,
    explains=("UPD02", "UPD08", "UPD12", "LOS07", "LOS11", "LOS14"),
    advice="Set the limit near the usual norm (twice its median), so that only outliers are "
    "clipped, and then choose the learning rate anew for steps that are no longer clipped.",
)
def clipping_always_active(
    trace: Trace,
    *,
    share: Annotated[float, "share of the steps that are clipped"] = 0.9,
    factor: Annotated[float, "limit relative to the norm below which clipping is a warning"] = 0.1,
    lost: Annotated[
        float, "the same for optimizers that divide by the gradient's size, as Adam"
    ] = 0.01,
    drowned: Annotated[
        float, "multiple of the optimizer's epsilon that a clipped element must keep"
    ] = 10.0,
    steps: Annotated[int, "clipped steps that are needed"] = 20,
) -> Iterator[Finding | Skipped]:
    """Gradient clipping acts on nearly every step, and removes most of the gradient.

    The limit is then a hidden learning rate: all steps have the same length, and a large gradient
    weighs no more than a small one. Judged over the second half of the run. Clipping that always
    acts but removes less is information. So is clipping to as little as a hundredth if the
    optimizer divides by the gradient's scale, as Adam does, and to even less if what remains of an
    element's gradient is known to be far above the optimizer's epsilon. With PyTorch it is a
    warning, too, if gradients are clipped after the step that used them, or by most of their size
    before they are divided by the scale of the loss.

    The rule sees PyTorch's `clip_grad_norm_` and, in sampled steps, `clipnorm`, `global_clipnorm`
    and `clipvalue` of Keras' optimizers and TensorFlow's clipping functions, for which the limit is
    taken to be the norm that remains.

    Source: Pascanu et al. 2013; Karpathy's "The Unreasonable Effectiveness", training notes.
    """
    calls = {text(e.payload, "fault"): e for e in trace.events_of(EventKind.CLIPPING)}
    if "late" in calls:
        yield _too_late(calls["late"])
        return
    limit, norm = trace.steps.clip_limit, trace.steps.clip_norm
    known = np.isfinite(limit) & np.isfinite(norm) & (limit > 0)
    if known.sum() < steps:
        yield too_few(f"needs {steps} steps with clipped gradients, has {known.sum()}")
        return
    rows = np.flatnonzero(known)[known.sum() // 2 :]
    clipped = norm[rows] > limit[rows]
    if clipped.mean() <= share:
        return
    left = median(limit[rows] / np.maximum(norm[rows], limit[rows]))
    optimizers = [event.payload for event in trace.events_of(EventKind.OPTIMIZER)]
    is_scale_free = are_scale_free(trace)
    if "scaled" in calls and left < factor:
        yield _scaled(calls["scaled"], median(norm[rows]), median(limit[rows]))
        return
    stays = is_scale_free and _element(trace, median(limit[rows])) >= drowned * _epsilon(optimizers)
    bound = 0.0 if stays else lost if is_scale_free else factor
    yield Finding(
        f"gradients are clipped on {clipped.mean():.0%} of the steps: their norm is "
        f"{median(norm[rows]):.3g}, the limit {median(limit[rows]):.3g}, so {left:.2g} of the "
        "gradient is left.",
        steps=(int(trace.steps.step[rows[0]]), int(trace.steps.step[rows[-1]])),
        severity=None if left < bound else Severity.INFO,
        evidence={
            "clipped_share": float(clipped.mean()),
            "median_norm": median(norm[rows]),
            "limit": median(limit[rows]),
            "factor": left,
        },
        location=place(calls[""].payload)
        if "" in calls
        else optimizer_line(trace, settings=CLIPPING),
    )


def _scaled(event: Event, norm: float, limit: float) -> Finding:
    return Finding(
        "gradients are clipped while they are still multiplied by the scale of the loss: their "
        f"norm is {norm:.3g} then, and {limit / norm:.1g} of it is left by the limit of "
        f"{limit:.3g}.",
        steps=(0, event.step),
        evidence={"median_norm": norm, "limit": limit, "factor": limit / norm},
        advice="Call `scaler.unscale_(optimizer)` before `clip_grad_norm_`.",
        location=place(event.payload),
    )


def _too_late(event: Event) -> Finding:
    return Finding(
        "gradients are clipped after the optimizer's step and replaced by the next backward pass: "
        "no step ever uses what was clipped.",
        steps=(0, event.step),
        explains=("GRD02", "GRD05", "LOS08", "LOS09", "NUM01", "NUM02", "NUM03", "NUM04", "UPD01"),
        advice="Clip between `loss.backward()` and `optimizer.step()`.",
        location=place(event.payload),
    )


def _element(trace: Trace, norm: float) -> float:
    """The root mean square of an element of a gradient with that norm; NaN if unknown."""
    elements = sum(site.numel for site in trace.sites_of(Role.PARAM_GRAD))
    return norm / elements**0.5 if elements else float("nan")


def _epsilon(optimizers: Sequence[Mapping[str, Any]]) -> float:
    """The largest epsilon that the optimizers add to a divisor; NaN if that of one is unknown."""
    known = [number(built, "eps") or 0.0 for built in optimizers]
    return max(known) if all(known) else float("nan")


@rule(
    "GRD08",
    "noisy-gradient",
    Severity.INFO,
    advice="Use larger batches, accumulate gradients, or lower the learning rate so that more "
    "steps are averaged; look whether labels carry a signal at all.",
)
def noisy_gradient(
    trace: Trace,
    *,
    ratio: Annotated[float, "signal-to-noise ratio of a step's gradient"] = 1.0,
    samples: Annotated[int, "pairs of steps that are needed"] = 8,
    steps: Annotated[int, "optimizer steps that are needed"] = 100,
) -> Iterator[Finding | Skipped]:
    """Gradients of successive steps hardly agree, and the loss does not fall.

    Each step is then mostly the noise of its batch. The cosine c of two successive gradients gives
    a signal-to-noise ratio of √(c / (1 − c)). Small batches often have less than 1 and still train,
    so it is noted only if the loss has no downward trend. Successive steps must have been sampled.
    Noise averages out, so it explains a loss that does not fall (LOS07, LOS10) only if all steps
    together give no signal; with batches of a few examples it explains a loss that stays at chance
    (LOS11) and, if both hold, steps that are too long (UPD01).
    Source: McCandlish et al. 2018 (gradient noise scale).
    """
    cosine = trace.steps.gradient_cosine
    known = np.flatnonzero(np.isfinite(cosine))
    losses = loss_series(trace)
    if len(known) < samples:
        yield too_few(f"needs {samples} pairs of steps that were compared, has {len(known)}")
        return
    if skipped := unjudgeable(losses, steps):
        yield skipped
        return
    late = known[len(known) // 2 :]
    level = max(0.0, median(cosine[late]))
    signal = float(np.sqrt(level / max(1e-12, 1 - level)))
    if signal >= ratio or trend_z(losses.value) < _FALLS:
        return
    sizes = [batch.batch_size for batch in training_batches(trace) if batch.batch_size]
    few = bool(sizes) and median(sizes) <= _FEW
    drowns = signal * len(trace.steps) ** 0.5 < _SIGNAL_OF_ALL
    yield Finding(
        f"gradients are noise: those of successive steps have a cosine of {level:.2f}, a "
        f"signal-to-noise ratio of {signal:.2f}, and the loss has no downward trend.",
        steps=(int(trace.steps.step[late[0]]), int(trace.steps.step[late[-1]])),
        evidence={"cosine": level, "signal_to_noise": signal, "pairs": len(known)},
        explains=_explains(few, drowns),
    )


def _explains(few: bool, drowns: bool) -> tuple[str, ...]:
    """The codes that noise explains: of `few` examples, and if the signal of all steps `drowns`."""
    of_drowned = ("LOS07", "LOS10") if drowns else ()
    of_few = ("LOS11",) if few else ()
    return (*of_drowned, *of_few, *(("UPD01",) if few and drowns else ()))


@rule(
    "GRD09",
    "opposing-updates",
    Severity.WARNING,
    advice="Divide the learning rate by two to four, or add momentum: the steps overshoot the "
    "valley and come back.",
)
def opposing_updates(
    trace: Trace,
    *,
    cosine: Annotated[float, "cosine of two successive updates"] = -0.5,
    samples: Annotated[int, "pairs of steps that are needed"] = 5,
    share: Annotated[float, "share of the pairs in the late part of the run"] = 0.75,
) -> Iterator[Finding | Skipped]:
    """Each update takes back most of the one before: training jumps to and fro across a valley.

    Progress is only what two such updates do not cancel. Judged by the true updates of successive
    sampled steps, over the later half of these pairs. A warning if the loss does not fall in that
    time, otherwise information, because updates also oppose each other at the largest stable
    learning rate.
    Source: Cohen et al. 2021 (edge of stability); Karpathy's Recipe, step 3.
    """
    values = trace.steps.update_cosine
    known = np.flatnonzero(np.isfinite(values))
    if len(known) < samples:
        yield too_few(f"needs {samples} pairs of steps that were compared, has {len(known)}")
        return
    late = known[-max(samples, len(known) // 2) :]
    holds = values[late] < cosine
    if holds.mean() < share or not holds[-1]:
        return
    since = lasting(values[known] < cosine, 1)
    first = int(trace.steps.step[known[since if since is not None else 0]])
    losses = loss_series(trace)
    recent = losses.value[losses.step >= trace.steps.step[late[0]]]
    falls = trend_z(recent) < _FALLS
    level = median(values[late])
    yield Finding(
        f"successive updates point against each other: their cosine is {level:.2f}"
        + (", though the loss still falls." if falls else ", and the loss does not fall."),
        steps=(first, int(trace.steps.step[late[-1]])),
        severity=Severity.INFO if falls else None,
        evidence={"cosine": level, "pairs": len(known), "opposing": int(holds.sum())},
    )
