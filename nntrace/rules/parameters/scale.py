"""Rules on the size of weights over time: they neither grow without end nor fade away."""

from collections.abc import Iterator
from math import sqrt
from typing import Annotated

import numpy as np

from nntrace.rules.common.chance import target_growth, targets_run_away
from nntrace.rules.common.layers import columns, first_finite, named, sampled_span, weights
from nntrace.rules.common.loss_course import falls_without_end, is_still_learning, remaining_loss
from nntrace.rules.common.signals import in_times, lasting, median
from nntrace.rules.common.trials import trial_and_error
from nntrace.rules.finding import Finding, Severity, Skipped, too_few
from nntrace.rules.rule import rule
from nntrace.schema import Role
from nntrace.trace import Trace

_NOT_LEARNT = 0.5  # share of the first loss that is left at the end
_BOOTSTRAPPED = (
    "Targets that are made of the model's own predictions must not grow with them: discount the "
    "next state's value by less than 1, leave it out after a terminal state, and take it from a "
    "target network that follows slowly."
)
_OF_TARGETS = ("LOS08", "GRD02", "GRD05")
_AS_FAST = 1.0  # ratio of the loss's last fall to its first
_STILL_GROWS = 1.1  # times, over the last third of the samples


@rule(
    "PAR02",
    "weight-divergence",
    Severity.ERROR,
    needs=(Role.PARAM,),
    explains=("ACT01", "ACT05", "ACT06", "LOS07", "LOS14", "GRD08", "UPD02"),
    advice="Lower the learning rate, add weight decay or a norm, and check the sign of the loss "
    "and of penalty terms.",
)
def weight_divergence(
    trace: Trace,
    *,
    growth: Annotated[
        float, "rms of the weights relative to the start, or to the usual one if larger"
    ] = 10.0,
    samples: Annotated[int, "sampled steps that are needed"] = 10,
) -> Iterator[Finding | Skipped]:
    """A layer's weights grow to many times their start, go on growing, and nothing is learned.

    They head for infinity. The start counts as at least 1/√fan-in (1/√width if there is no fan),
    so that layers and tokens that begin at zero or tiny may grow. Not reported: weights that have
    settled, or that grow while the loss falls, as on separable data, or in learning by trial and
    error, where the loss does not say whether anything is learned. They are still reported if the
    loss falls below zero as fast as ever: it has no lowest value, and larger weights only make it
    smaller (a penalty with the wrong sign). If the targets grow along, as those that a value
    network makes from its own results do, this explains the growth of the loss and its gradients.
    Source: "37 reasons", 28 (weights growing to ±infinity); Deep Learning Tuning, DL4J.
    """
    sites = [site for site in weights(trace) if site.requires_grad is not False]
    size = columns(trace, Role.PARAM, "rms", sites)
    if np.isfinite(size).sum(axis=0).max(initial=0) < samples:
        yield too_few(f"needs {samples} sampled steps")
        return
    # A table of vectors that are added (a class token) has no fan, but a width.
    begin = np.array([_usual_start(site.fan_in or site.shape[-1]) for site in sites])
    start = np.fmax(first_finite(size), begin)
    learns = remaining_loss(trace) < _NOT_LEARNT or is_still_learning(trace)
    along = targets_run_away(trace)
    learns = learns and not falls_without_end(trace, _AS_FAST)
    learns |= not along and bool(trial_and_error(trace))
    found = []
    for index in range(len(sites)):
        rows = np.flatnonzero(np.isfinite(size[:, index]))
        if len(rows) < samples or not start[index] > 0:
            continue
        walk = size[rows, index] / start[index]
        third = max(1, len(walk) // 3)
        grows = walk[-1] > _STILL_GROWS * median(walk[-2 * third : -third])
        since = lasting(walk > growth, 1)
        if since is not None and grows and not learns:
            found.append((index, int(rows[since]), float(walk[-1])))
    if not found:
        return
    index, since, factor = max(found, key=lambda entry: entry[2])
    site = sites[index]
    yield Finding(
        f"{site.path} grows without end: rms {first_finite(size)[index]:.2g} at the start, "
        f"{size[np.isfinite(size[:, index]), index][-1]:.3g} at the end, {in_times(factor)} times "
        "what is usual for its fan"
        + f"; the targets grow along, {in_times(target_growth(trace))} times." * along
        + "." * (not along),
        site=site,
        steps=sampled_span(trace, since),
        evidence={
            "weights": [sites[i].path for i, _, _ in found],
            "growth": [factor for _, _, factor in found],
        },
        explains=_OF_TARGETS if along else (),
        advice=_BOOTSTRAPPED if along else "",
    )


@rule(
    "PAR03",
    "weight-collapse",
    Severity.WARNING,
    needs=(Role.PARAM,),
    explains=(
        *("ACT01", "ACT02", "ACT04", "ACT07", "ACT13", "GRD01", "GRD04", "UPD02"),
        *("LOS07", "LOS11", "LOS12"),
    ),
    advice="Lower weight decay or the penalty on the weights; see whether the layer gets a "
    "gradient at all: on one that gets none, decay alone acts.",
)
def weight_collapse(
    trace: Trace,
    *,
    shrinkage: Annotated[float, "rms at the start relative to the end"] = 100.0,
    samples: Annotated[int, "sampled steps that are needed"] = 10,
) -> Iterator[Finding | Skipped]:
    """A layer's weights fade to a small part of what they were.

    What the layer computes fades with them. Decay or a penalty pulls harder than the gradient, or
    the gradient does not reach the layer. The weights at the end are the median over the last tenth
    of the samples.
    Source: Karpathy's Recipe, step 4 (regularise); Deep Learning Tuning, DL4J.
    """
    sites = [site for site in weights(trace) if site.requires_grad is not False]
    size = columns(trace, Role.PARAM, "rms", sites)
    if np.isfinite(size).sum(axis=0).max(initial=0) < samples:
        yield too_few(f"needs {samples} sampled steps")
        return
    found = []
    for index in range(len(sites)):
        rows = np.flatnonzero(np.isfinite(size[:, index]))
        if len(rows) < samples:
            continue
        values = size[rows, index]
        end = median(values[-max(1, len(values) // 10) :])
        if values[0] > 0 and end * shrinkage < values[0]:
            since = lasting(values * shrinkage < values[0], 1)
            found.append((index, int(rows[since if since is not None else -1]), values[0], end))
    if not found:
        return
    index, since, start, end = found[0]
    times = f"{in_times(start / end)} times smaller" if end > 0 else "all zero"
    yield Finding(
        f"{len(found)} of {len(sites)} weight matrices have faded away: "
        f"{named([sites[i].path for i, *_ in found])}; the first had rms {start:.2g} and has "
        f"{end:.2g}, {times}.",
        site=sites[index],
        steps=sampled_span(trace, since),
        evidence={
            "weights": [sites[i].path for i, *_ in found],
            "first_rms": [float(first) for _, _, first, _ in found],
            "last_rms": [float(last) for *_, last in found],
        },
    )


def _usual_start(fan_in: int) -> float:
    """The standard deviation of a usual initialisation for this fan-in."""
    return 1 / sqrt(fan_in)
