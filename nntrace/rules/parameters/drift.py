"""Rules on the parameters over time."""

from collections.abc import Iterator
from typing import Annotated

import numpy as np

from nntrace.rules.common.layers import columns, is_norm, weights
from nntrace.rules.common.loss_course import remaining_loss
from nntrace.rules.common.signals import lasting
from nntrace.rules.finding import Finding, Severity, Skipped, too_few
from nntrace.rules.rule import rule
from nntrace.schema import Role
from nntrace.trace import Trace
from nntrace.trace.model import FloatArray, IntArray

_PARTS = 6  # into which the run is divided to compare the bias's pace
_REACH = 0.75  # of the run that samples must cover
_SAME_SIGN = 0.95


@rule(
    "PAR01",
    "bias-drift",
    Severity.WARNING,
    needs=(Role.PARAM, Role.PARAM_GRAD),
    explains=("ACT04", "ACT05", "ACT06", "LOS07", "LOS12"),
    advice="Look for a shift the bias has to make up for: targets far from zero, labels of one "
    "class only or very imbalanced, inputs that are not centred. Then set it at the start.",
)
def bias_drift(
    trace: Trace,
    *,
    scale: Annotated[float, "mean of the bias relative to the rms of its layer's weights"] = 1.5,
    steady: Annotated[float, "pace in the slowest sixth of the run relative to the fastest"] = 0.4,
    samples: Annotated[int, "sampled steps that are needed"] = 20,
    fitted: Annotated[
        float, "share of the first loss below which more than an offset was learned"
    ] = 0.1,
) -> Iterator[Finding | Skipped]:
    """A bias moves away from zero at a steady pace, beyond the scale of the weights beside it.

    Training then moves an offset instead of learning from the input. Reported only if the movement
    does not slow down, is driven by gradients of one sign to the end, and has gone farther than the
    weights are large (initialised biases are at most that large). A bias that settles, such as one
    that finds the log-odds of rare classes, is healthy; norms are left out. Information if targets
    that vary are nearly fitted, which no offset alone can do.
    Source: "37 reasons", 28 (watch biases growing to ±infinity); Deep Learning Tuning, DL4J.
    """
    beside = {site.parent: site for site in weights(trace) if site.fan_in}
    biases = [
        site
        for site in trace.sites_of(Role.PARAM)
        if len(site.shape) == 1 and site.parent in beside and not is_norm(site)
    ]
    if not biases:
        yield Skipped("no layer with weights and a bias was recorded")
        return
    mean = columns(trace, Role.PARAM, "mean", biases)
    pull = columns(trace, Role.PARAM_GRAD, "mean", biases)
    size = columns(trace, Role.PARAM, "rms", [beside[site.parent] for site in biases])
    at = trace.sampled_steps
    known = np.isfinite(mean) & np.isfinite(pull) & np.isfinite(size)
    if known.sum(axis=0).max() < samples or at[-1] < _REACH * trace.steps.step[-1]:
        yield too_few(f"needs {samples} sampled steps, to the end of the run")
        return
    learns = remaining_loss(trace) <= fitted and _targets_vary(trace)
    for index, site in enumerate(biases):
        rows = np.flatnonzero(known[:, index])
        if len(rows) < samples:
            continue
        walk, weight = mean[rows, index], float(size[rows[-1], index])
        moved = float(walk[-1] - walk[0])
        far = min(abs(walk[-1]), abs(moved)) > scale * weight and moved * walk[-1] > 0
        if not far or not _keeps_pace(at[rows], walk, pull[rows, index], steady):
            continue
        since = lasting(np.abs(walk) > scale * weight, 1)
        first = rows[since] if since is not None else rows[-1]
        role = "output bias" if site is biases[-1] else "bias"
        yield Finding(
            f"the {role} {site.path} moves away from zero at a steady pace: mean {walk[0]:.3g} "
            f"to {walk[-1]:.3g}, {abs(walk[-1]) / max(weight, 1e-30):.1f} times the rms of its "
            f"layer's weights ({weight:.2g}).",
            site=site,
            steps=(int(at[first]), int(at[rows[-1]])),
            severity=Severity.INFO if learns else None,
            evidence={
                "first": float(walk[0]),
                "last": float(walk[-1]),
                "weight_rms": weight,
                "weight": beside[site.parent].path,
            },
        )


def _targets_vary(trace: Trace) -> bool:
    spread = trace.series(Role.TARGET, "std")
    return bool((spread[np.isfinite(spread)] > 0).any())


def _keeps_pace(at: IntArray, walk: FloatArray, pull: FloatArray, steady: float) -> bool:
    """Whether a bias moves one way without slowing down, driven by gradients of one sign."""
    # Samples are denser at the start of a run, so pace is taken over steps, not over samples.
    marks = np.linspace(at[0], at[-1], _PARTS + 1)
    pace = np.diff(np.interp(marks, at, walk)) * np.sign(walk[-1] - walk[0])
    late = np.sign(pull[len(pull) // 2 :])
    one_sign = abs(float(late.mean())) >= _SAME_SIGN
    return one_sign and float(pace.max()) > 0 and float(pace.min()) >= steady * float(pace.max())
