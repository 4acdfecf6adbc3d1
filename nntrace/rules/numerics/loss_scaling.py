"""Rules on half precision: gradients too small for float16, and loss scaling against that.

Gradients are recorded unscaled; what float16 held is the recorded value times the step's scale.
"""

from collections.abc import Iterator
from typing import Annotated

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from nntrace.rules.common.payloads import number, place
from nntrace.rules.common.signals import finite
from nntrace.rules.finding import Finding, Severity, Skipped
from nntrace.rules.rule import rule
from nntrace.schema import EventKind, Role
from nntrace.trace import Event, Site, Trace

_SMALLEST = 2.0**-24  # the smallest float16 number above 0
_MIN_NONZERO = 16
_MIN_SCALED = 20
_MIN_SKIPPED = 3

Shares = npt.NDArray[np.float64]


@rule(
    "NUM06",
    "gradient-underflow",
    Severity.WARNING,
    explains=("GRD01", "GRD03", "GRD04", "UPD02", "UPD06", "UPD08", "LOS07", "LOS11", "LOS14"),
    advice="Scale the loss (`torch.amp.GradScaler`, in a loop or `train_step` on Keras "
    "`optimizer.scale_loss`), or train in bfloat16, which has the range of float32.",
    in_keras="Scale the loss: compile with a `mixed_float16` policy, which does it, or wrap the "
    "optimizer in a `LossScaleOptimizer` and call `optimizer.scale_loss` in a loop of your own; "
    "or train in `mixed_bfloat16`, which has the range of float32.",
)
def gradient_underflow(
    trace: Trace,
    *,
    flushed: Annotated[float, "share of a gradient's elements that are exactly 0"] = 0.2,
    tail: Annotated[
        float, "share of the others that lie within 16 times the smallest float16 number"
    ] = 0.1,
    crowd: Annotated[
        float, "such a share of the others with which a quarter of `flushed` suffices"
    ] = 0.95,
) -> Iterator[Finding]:
    """Gradients in float16 are so small that many of them become 0.

    Zeros alone are no sign, because rectifiers make them, too. But if the remaining values crowd
    just above the smallest number of the type, the missing ones lay below it; if nearly all of them
    do, the rest is rounded to a few values, and fewer zeros are enough. Judged by the histograms of
    float16 gradients (of activations also under autocast). Each histogram stands for the steps up
    to the next one; half of the run must be so.

    Found without histograms, in Keras on TensorFlow: a `LossScaleOptimizer`, which divides
    gradients by its scale, is given those of a loss that was never multiplied by it.

    Source: Micikevicius et al., "Mixed precision training", 2018, section 3.2: gradients of a
    detector were lost to zero without a scale. The smallest float16 number is 2^-24.
    """
    if unscaled := trace.events_of(EventKind.UNSCALED):
        yield _never_scaled(unscaled[0])
        return
    found: list[tuple[float, Site, int]] = []
    ends: list[int] = []
    for site in _half_gradients(trace):
        steps, zeros, crowded = _shares(trace, site)
        bad = (zeros >= flushed) & (crowded >= tail)
        bad |= (zeros >= flushed / 4) & (crowded >= crowd)
        if len(steps) and np.average(bad, weights=_stands_for(trace, steps)) >= 0.5:
            found.append((float(np.median(zeros[bad])), site, int(bad.sum())))
            ends += [int(steps[bad][0]), int(steps[bad][-1])]
    if not found:
        return
    share, site, seen = max(found, key=lambda row: (row[0], -row[1].id))
    others = f" and {len(found) - 1} more" if len(found) > 1 else ""
    scales = finite(trace.steps.loss_scale)
    without = (
        f"though the loss scale is {scales[-1]:.6g}: is the loss multiplied by it?"
        if len(scales)
        else "and the loss is not scaled."
    )
    yield Finding(
        f"{share:.0%} of the gradient of `{site.path}`{others} is 0 in float16, and the rest "
        f"lies just above its smallest number (6e-8), {without}",
        site=site,
        steps=(min(ends), max(ends)),
        evidence={"zero_fraction": share, "sites": len(found), "histograms": seen},
    )


def _never_scaled(event: Event) -> Finding:
    scale = number(event.payload, "scale") or 1.0
    return Finding(
        f"the optimizer divides gradients by its loss scale ({scale:.6g} at first), but the loss "
        "was never multiplied by it: each step is that much too small.",
        steps=(event.step, event.step),
        evidence={"loss_scale": scale},
        advice="Differentiate `optimizer.scale_loss(loss)` in place of the loss, within the tape: "
        "`scaled = optimizer.scale_loss(loss)`, `tape.gradient(scaled, variables)`.",
        location=place(event.payload),
    )


@rule(
    "NUM07",
    "scaler-skips-steps",
    Severity.WARNING,
    explains=("LOS07", "LOS14"),
    advice="Lengthen the scaler's `growth_interval` (2000 by default), or lower `init_scale`. If "
    "the scale keeps falling, values overflow at any scale: look for the first infinite one.",
)
def scaler_skips_steps(
    trace: Trace,
    *,
    share: Annotated[
        float, "share of skipped steps, counted from the first that was not skipped"
    ] = 0.1,
) -> Iterator[Finding | Skipped]:
    """The loss scaler finds overflows again and again: the batches of these steps teach nothing.

    Steps skipped at the beginning, while the scaler finds its scale, do not count.
    Source: `torch.amp.GradScaler`: a step is skipped when a scaled gradient is not finite.
    """
    scale = trace.steps.loss_scale
    scaled = np.isfinite(scale)
    if not scaled.any():
        return
    skipped = trace.steps.skipped & scaled
    taken = np.flatnonzero(scaled & ~skipped)
    start = int(taken[0]) if len(taken) else 0  # a scaler that never settles skips all steps
    counted = scaled[start:]
    count, total = int(skipped[start:].sum()), int(counted.sum())
    if total < _MIN_SCALED:
        yield Skipped(f"needs {_MIN_SCALED} steps with a loss scale, the run has {total}")
        return
    if count < _MIN_SKIPPED or count / total <= share:
        return
    at = np.flatnonzero(skipped[start:]) + start
    first, last = float(scale[scaled][0]), float(scale[scaled][-1])
    yield Finding(
        f"{count} of {total} steps were skipped because their scaled gradients were not finite; "
        f"the scale went from {first:.10g} to {last:.10g}.",
        steps=(int(trace.steps.step[at[0]]), int(trace.steps.step[at[-1]])),
        evidence={"skipped": count, "steps": total, "scale_first": first, "scale_last": last},
    )


def _half_gradients(trace: Trace) -> list[Site]:
    roles = (Role.ACTIVATION_GRAD, Role.PARAM_GRAD)
    return [site for role in roles for site in trace.sites_of(role) if site.dtype == "float16"]


def _stands_for(trace: Trace, steps: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The number of steps from each of these to the next one, or to the end of the run."""
    ends = np.append(steps[1:], trace.steps.step[-1] + 1 if len(trace.steps) else steps[-1] + 1)
    return np.asarray(np.maximum(ends - steps, 1), dtype=np.int64)


def _shares(trace: Trace, site: Site) -> tuple[npt.NDArray[np.int64], Shares, Shares]:
    """For each histogram: its step, the part that is 0, and the part of the rest that is tiny."""
    rows = trace.table("histograms").filter(pc.field("site") == site.id)
    scales = dict(zip(trace.steps.step.tolist(), trace.steps.loss_scale.tolist(), strict=True))
    steps, zeros, tiny = [], [], []
    for row in rows.select(["step", "edges", "counts"]).to_pylist():
        edges = np.abs(np.asarray(row["edges"] or [], dtype=np.float64))
        counts = np.asarray(row["counts"] or [], dtype=np.float64)[: len(edges)]
        scale = scales.get(row["step"], np.nan)
        held = edges[: len(counts)] * (scale if np.isfinite(scale) else 1.0)
        nonzero = counts[held > 0].sum()
        if nonzero >= _MIN_NONZERO:
            steps.append(row["step"])
            zeros.append(1.0 - nonzero / counts.sum())
            tiny.append(counts[(held > 0) & (held < 16 * _SMALLEST)].sum() / nonzero)
    return np.array(steps, dtype=np.int64), np.array(zeros), np.array(tiny)
