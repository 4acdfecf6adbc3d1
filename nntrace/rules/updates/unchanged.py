"""UPD06: parameters that are stepped but never change."""

from collections.abc import Iterator, Sequence
from typing import Annotated

import numpy as np

from nntrace.rules.common.layers import cancelling, columns, first_finite, is_embedding, named
from nntrace.rules.common.payloads import number, text
from nntrace.rules.common.signals import finite, median, span
from nntrace.rules.finding import Finding, Severity, Skipped, too_few
from nntrace.rules.rule import rule
from nntrace.schema import EventKind, Role
from nntrace.trace import Site, Trace
from nntrace.trace.model import BoolArray, FloatArray

_LAST_DIGIT = {"float32": 2.0**-23, "float64": 2.0**-52}
_SURELY = 0.1  # a margin: some values are smaller than their rms, and some steps larger
_OF_NO_RATE = (
    "Print the learning rate after each step and look at what sets it: a schedule whose factor is "
    "a quotient of whole numbers (`step // warm_up`), or one that has reached its end."
)


@rule(
    "UPD06",
    "unchanged-parameter",
    Severity.ERROR,
    needs=(Role.PARAM_GRAD, Role.UPDATE),
    explains=("LOS07", "LOS11", "LOS12", "LOS14"),
    advice="Check the learning rate of the parameter's group (zero?), the schedule, a gradient "
    "scaler that skips every step, and whether the dtype is too coarse for the update.",
)
def unchanged_parameter(
    trace: Trace,
    *,
    samples: Annotated[int, "sampled steps with a gradient but no change that are needed"] = 5,
) -> Iterator[Finding | Skipped]:
    """An optimizer steps a parameter that has a gradient, yet its values never change.

    Δw is measured as after − before, so a zero is a zero: a learning rate of zero, a step that was
    skipped, or an update lost to rounding. It must hold at every sampled step once the learning
    rate has left zero (or at all of them if it never does).

    Left out are

    - embeddings that are sampled in part, because the rows of a batch need not be among those
    - a bias whose gradient is only the rounding of what cancels (scores that are only compared)
    - parameters whose gradient, not whose step, is too small: even at the largest ratio of update
      to gradient that another parameter gets, they would change by less than their last digit; of
      an optimizer with an ε the ratio is at most the learning rate over ε

    Source: "37 reasons", 19 and 33; micrograd-style checks in Karpathy's Recipe, step 2.
    """
    sites = trace.sites_of(Role.UPDATE)
    update = columns(trace, Role.UPDATE, "rms", sites)
    count = columns(trace, Role.UPDATE, "n", sites)
    partly_read = [
        is_embedding(site) and len(n := finite(column)) > 0 and n.max() < site.numel
        for site, column in zip(sites, count.T, strict=True)
    ]
    update[:, partly_read] = np.nan
    gradient = columns(trace, Role.PARAM_GRAD, "rms", sites)
    steps = trace.steps
    moving = steps.step[steps.lr != 0]
    begun = trace.sampled_steps >= (moving[0] if len(moving) else 0)
    seen = begun[:, None] & np.isfinite(update) & (gradient > 0)
    times = seen.sum(axis=0)
    if not times.size or times.max() < samples:
        yield too_few(f"needs {samples} sampled steps with gradients and updates")
        return
    unchanged = (times >= samples) & ~(seen & (update != 0)).any(axis=0)
    unchanged &= ~_is_below_the_last_digit(trace, sites, update, np.where(seen, gradient, 0.0))
    cancels = cancelling(sites)
    blamed = [place for place in np.flatnonzero(unchanged).tolist() if not cancels(place, gradient)]
    if not blamed:
        return
    paths = [sites[index].path for index in blamed]
    rows = np.flatnonzero(seen[:, blamed].any(axis=1))
    rates = "" if len(moving) else "; the learning rate (of the first group) is 0 at every step"
    yield Finding(
        f"{len(paths)} of {len(sites)} parameters are stepped with a gradient and never change: "
        f"{named(paths)}{rates}.",
        site=sites[blamed[0]],
        steps=span(trace.sampled_steps[rows]),
        evidence={
            "parameters": paths,
            "gradient_rms": [median(gradient[:, index]) for index in blamed],
            "learning_rate": median(steps.lr) if len(finite(steps.lr)) else None,
        },
        advice=_OF_NO_RATE if len(finite(steps.lr)) and not len(moving) else "",
    )


def _is_below_the_last_digit(
    trace: Trace, sites: Sequence[Site], update: FloatArray, gradient: FloatArray
) -> BoolArray:
    """[sites]: whether even the relatively largest step of another parameter would not show.

    `gradient` is zero where no step is expected of it.
    """
    moved = (update > 0) & (gradient > 0)
    rate = float((update[moved] / gradient[moved]).max(initial=0.0))
    # What weight decay moves looks as if its gradient, however small, had done it.
    bounds = _rates_over_epsilon(trace)
    most = rate / _SURELY
    rates = np.array([min(most, bounds.get(site.optimizer or "", most)) for site in sites])
    size = first_finite(columns(trace, Role.PARAM, "rms", sites))
    digit = np.array([_LAST_DIGIT.get(site.dtype or "", 0.0) for site in sites])
    largest = gradient.max(axis=0)
    return np.asarray((rates > 0.0) & (rates * largest < digit * size))


def _rates_over_epsilon(trace: Trace) -> dict[str, float]:
    """The most that a gradient of 1 moves a weight, by the name of an optimizer that has an ε."""
    fastest = float(finite(trace.steps.lr).max(initial=0.0))
    events = trace.events_of(EventKind.OPTIMIZER)
    epsilons = {text(event.payload, "name"): number(event.payload, "eps") for event in events}
    return {name: fastest / epsilon for name, epsilon in epsilons.items() if epsilon}
