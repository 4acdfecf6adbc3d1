"""What the rules on layers share: weights and biases in depth order, the chain of activations,
and what belongs together under one path.

Parameters and activations are matched by paths only; sites keep the order of their ids, which is
the order in which the program first reached them.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePath

import numpy as np
import numpy.typing as npt

from nntrace.rules.common.signals import (
    finite,
    loss_series,
    median,
    trend_z,
    unjudgeable,
)
from nntrace.schema import Role
from nntrace.trace import Site, Trace
from nntrace.trace.model import FloatArray

BoolArray = npt.NDArray[np.bool_]

_MAX_NAMED = 3
_CANCELLED = 1e-5  # of the weights' gradient: less in their bias is rounding
_CENTRING = ("batchnorm", "groupnorm", "instancenorm")
_SAME_WAY = 0.9  # cosine of successive gradients that nothing turns around
_UNDER_WAY = 0.8  # of the first loss: below it something was learned
_LEAST_LOSSES = 20
_INSTALLED = {"site-packages", "dist-packages"}
_ERRORS = 4.0  # standard errors of a trend that is certain


@dataclass(frozen=True, slots=True)
class Link:
    """One activation site in the chain, with what is known of its module.

    `fans` are the values that one of its units takes in, and that one it takes in goes out to.
    """

    site: Site
    column: int
    has_weight: bool
    is_affine: bool
    is_norm: bool
    fans: tuple[int, int] | None


def weights(trace: Trace, role: Role = Role.PARAM) -> tuple[Site, ...]:
    """The weights of two and more dimensions, embeddings left out, in depth order.

    An embedding has no fan: each of its rows is looked up, not multiplied with. Nor has a bias,
    however many axes (those of attention in Keras have one for the heads).
    """
    return tuple(
        site
        for site in trace.sites_of(role)
        if len(site.shape) > 1
        and site.numel > 1
        and not is_embedding(site)
        and re.split("[./]", site.path)[-1] != "bias"
    )


def is_embedding(site: Site) -> bool:
    """Whether the owner of a parameter, or a module, is a lookup table."""
    return "embedding" in site.module_type.lower()


def of_a_library(sites: Iterable[Site]) -> bool:
    """Whether all these were built by installed code: who runs the program cannot call them."""
    files = [PurePath(site.file or "").parts for site in sites]
    return bool(files) and all(_INSTALLED.intersection(parts) for parts in files)


def is_norm(site: Site) -> bool:
    """Whether a module normalises what passes through it."""
    return "norm" in site.module_type.lower()


def by_path(trace: Trace, role: Role) -> dict[str, Site]:
    """The sites of a role by their path."""
    return {site.path: site for site in trace.sites_of(role)}


def columns(trace: Trace, role: Role, stat: str, sites: Sequence[Site]) -> FloatArray:
    """A statistic [sampled_steps, sites] at the paths of `sites`, whatever their role.

    NaN in the columns of paths that have no site of that role.
    """
    values = trace.series(role, stat)
    position = {site.path: index for index, site in enumerate(trace.sites_of(role))}
    chosen = np.full((len(values), len(sites)), np.nan)
    for index, site in enumerate(sites):
        if site.path in position:
            chosen[:, index] = values[:, position[site.path]]
    return chosen


def update_ratios(trace: Trace, sites: Sequence[Site]) -> FloatArray:
    """rms(Δw) / rms(w) [sampled_steps, sites]; NaN where one is missing or the weight is zero."""
    size = columns(trace, Role.PARAM, "rms", sites)
    update = columns(trace, Role.UPDATE, "rms", sites)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(size > 0, update / size, np.nan)


def chain(trace: Trace) -> tuple[Link, ...]:
    """The activation sites in depth order."""
    matrices = {site.parent for site in weights(trace)}
    affine = {s.parent: (s.fan_in, s.fan_out or 0) for s in weights(trace) if s.fan_in}
    owners = {site.parent for site in trace.sites_of(Role.PARAM)}
    return tuple(
        Link(
            site,
            column,
            has_weight=site.path in owners and not is_embedding(site),
            is_affine=(site.path in affine or (site.path in matrices and not is_norm(site))),
            is_norm=is_norm(site),
            fans=affine.get(site.path),
        )
        for column, site in enumerate(trace.sites_of(Role.ACTIVATION))
    )


def batch_norm_between(trace: Trace) -> Callable[[Site, Site], bool]:
    """Tells of two parameters' sites whether a batch norm is called between their modules.

    Group and instance norms, which centre over positions, count as well.
    """
    sites = trace.sites_of(Role.ACTIVATION)
    places = {site.path: place for place, site in enumerate(sites)}
    kinds = [site.module_type.lower() for site in sites]
    centring = np.array([any(word in kind for word in _CENTRING) for kind in kinds], dtype=bool)

    def between(one: Site, two: Site) -> bool:
        ends = [places[site.parent] for site in (one, two) if site.parent in places]
        return len(ends) == 2 and bool(centring[min(ends) + 1 : max(ends)].any())

    return between


def cancels(index: int, sites: Sequence[Site], gradient: FloatArray) -> bool:
    """Whether it is a bias without a gradient of its own, whose weights do get one.

    What it adds is taken away again, by a norm, a softmax, a difference of two scores: a bias that
    does nothing, no fault. `gradient` holds the rms [samples, sites].
    """
    site = sites[index]
    if len(site.shape) != 1 or not site.parent:
        return False
    for other, beside in enumerate(sites):
        if beside.parent == site.parent and len(beside.shape) > 1:
            nothing = gradient[:, index] <= _CANCELLED * gradient[:, other]
            if not nothing.any():
                continue
            if nothing.mean() >= 0.5 and (gradient[nothing, other] > 0).mean() > 0.5:
                return True
    return False


def first_finite(values: FloatArray) -> FloatArray:
    """The first finite value of each column; NaN where there is none."""
    return np.array([kept[0] if len(kept := finite(column)) else np.nan for column in values.T])


def any_finite(values: FloatArray, axis: int) -> BoolArray:
    """Along which rows (axis 1) or columns (axis 0) anything was recorded."""
    return np.asarray(np.isfinite(values).any(axis=axis))


def first_sampled_is_start(trace: Trace) -> bool:
    """Whether the first statistics show the parameters as they were initialised."""
    sampled, steps = trace.sampled_steps, trace.steps.step
    return bool(len(sampled) and len(steps) and sampled[0] <= steps[0])


def remaining_loss(trace: Trace) -> float:
    """What is left of the loss: 1 without progress, 0 when all of it went.

    NaN where that is not known: no loss, one that ended as NaN, or several optimizers' in turn.
    """
    series = loss_series(trace)
    values = series.value
    if len(values) < 2 or series.nonfinite_from is not None or series.optimizers > 1:
        return float("nan")
    start = median(values[: max(1, min(10, len(values) // 10))])
    end = median(values[-max(1, len(values) // 5) :])
    return 1 - (start - end) / abs(start) if start else float("nan")


def is_still_learning(trace: Trace) -> bool:
    """Whether the loss has come down by a fifth and falls steadily in its second half.

    False where the course of the loss says nothing.
    """
    return remaining_loss(trace) <= _UNDER_WAY and falls_steadily(trace)


def falls_steadily(trace: Trace) -> bool:
    """Whether the loss falls in the second half of the run, beyond any doubt.

    False where the course of the loss says nothing.
    """
    series = loss_series(trace)
    if unjudgeable(series, 2) is not None:
        return False
    return trend_z(series.value[len(series) // 2 :]) < -_ERRORS


def late_agreement(trace: Trace) -> float:
    """The median cosine of successive gradients in the second half of the run."""
    cosine = trace.steps.gradient_cosine
    return median(cosine[len(cosine) // 2 :])


def goes_uphill(trace: Trace) -> bool:
    """Whether the loss rises while successive gradients point the same way.

    Steps that are too long overshoot, and gradients turn around; these go where the loss is higher.
    """
    series = loss_series(trace)
    if unjudgeable(series, 2) is not None or not trend_z(series.value) > _ERRORS:
        return False
    return late_agreement(trace) > _SAME_WAY


def falls_without_end(trace: Trace, faster: float) -> bool:
    """Whether the loss falls below zero, in the last quarter of the run at least `faster` times as
    much as in the second: it has no least value.
    """
    values = loss_series(trace).value
    if len(values) < _LEAST_LOSSES:
        return False
    levels = [median(part) for part in np.array_split(values, 4)]
    falls = np.diff(levels)
    return bool(levels[-1] < 0.0 and (falls < 0.0).all() and falls[-1] <= faster * falls[0])


def has_fallen(trace: Trace) -> bool:
    """Whether the loss, whatever its floor, falls over the run beyond any doubt.

    False where several optimizers take turns, or where it ended as NaN.
    """
    series = loss_series(trace)
    if series.nonfinite_from is not None or series.optimizers > 1:
        return False
    return trend_z(series.value) < -_ERRORS


def span(trace: Trace, first: int = 0) -> tuple[int, int]:
    """The steps from the sampled step with index `first` to the last sampled one."""
    sampled = trace.sampled_steps
    return (int(sampled[first]), int(sampled[-1])) if len(sampled) else (0, 0)


def early_samples(trace: Trace) -> str | None:
    """Why the samples do not say what held to the end: they stop in the first half; else None.

    So it is where sampling is dear: the first steps of a run take the budget of many.
    """
    steps, sampled = trace.steps.step, trace.sampled_steps
    if not len(sampled) or 2 * int(sampled[-1]) >= int(steps[0]) + int(steps[-1]) - 1:
        return None
    return f"step {sampled[-1]} is the last sampled of {len(steps)}: it does not speak for the end"


def named(paths: Sequence[str]) -> str:
    """A few names in words: `fc1.weight, fc2.weight and 3 more`."""
    shown = ", ".join(path or "the model" for path in paths[:_MAX_NAMED])
    rest = len(paths) - _MAX_NAMED
    return f"{shown} and {rest} more" if rest > 0 else shown


def first_with_weight(trace: Trace) -> Site | None:
    """The first layer that has parameters of its own."""
    owners = {site.parent for site in trace.sites_of(Role.PARAM)}
    return next((site for site in trace.sites_of(Role.ACTIVATION) if site.path in owners), None)
