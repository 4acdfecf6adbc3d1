"""One metric of every layer or parameter over all sampled steps, as [sampled steps, paths]."""

from collections.abc import Iterable, Sequence

import numpy as np

from nntrace.schema import Role
from nntrace.trace import Site, Trace
from nntrace.trace.decode import floats
from nntrace.trace.model import FloatArray, IntArray
from nntrace_tui.metrics import Metric

_OF_OUTPUT = {
    Metric.ACTIVATION_STD: "std",
    Metric.DEAD: "dead_fraction",
    Metric.SATURATED: "saturated_fraction",
}
_NONFINITE_ROLES = (Role.ACTIVATION, Role.ACTIVATION_GRAD, Role.PARAM, Role.PARAM_GRAD, Role.UPDATE)


def layer_history(trace: Trace, metric: Metric, paths: Sequence[str]) -> FloatArray:
    """Return the metric of the layers with these module paths; update ratios are log10."""
    if metric is Metric.NONFINITE:
        return nonfinite_history(trace, paths)
    if metric in _OF_OUTPUT:
        sites = trace.sites_of(Role.ACTIVATION)
        values = trace.series(Role.ACTIVATION, _OF_OUTPUT[metric])
        return _by_path(values, [site.path for site in sites], paths)
    if metric is Metric.GRADIENT_RMS:
        return _pooled_rms(trace, Role.PARAM_GRAD, None, paths)
    # A frozen parameter beside trained ones would lower the ratio.
    updated = {site.path for site in trace.sites_of(Role.UPDATE)}
    return log_ratio(
        _pooled_rms(trace, Role.UPDATE, updated, paths),
        _pooled_rms(trace, Role.PARAM, updated, paths),
    )


def parameter_ratios(trace: Trace) -> tuple[tuple[Site, ...], FloatArray]:
    """Return the updated parameters in depth order, and log10 rms(Δw)/rms(w) of each."""
    sites = trace.sites_of(Role.UPDATE)
    weights = _by_path(
        trace.series(Role.PARAM, "rms"),
        [site.path for site in trace.sites_of(Role.PARAM)],
        [site.path for site in sites],
    )
    return sites, log_ratio(trace.series(Role.UPDATE, "rms"), weights)


def nonfinite_history(trace: Trace, paths: Sequence[str]) -> FloatArray:
    """Return each layer's worst non-finite share: of outputs, gradients, parameters, updates."""
    worst = np.full((len(trace.sampled_steps), len(paths)), np.nan)
    if not np.any(floats(trace.table("stats"), "nonfinite_fraction") > 0):
        worst[:] = 0.0  # the usual case, which is quickly found
        return worst
    for role in _NONFINITE_ROLES:
        owners = [site.module for site in trace.sites_of(role)]
        for columns, places in _in_rounds(owners, paths):
            values = trace.series(role, "nonfinite_fraction")[:, columns]
            worst[:, places] = np.fmax(worst[:, places], values)
    return worst


def log_ratio(update: FloatArray, weight: FloatArray) -> FloatArray:
    """Return log10(update / weight): NaN where the weight is zero, −inf where nothing changed."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.log10(update / weight)
    return np.where(weight > 0, ratio, np.nan)


def _by_path(values: FloatArray, names: Iterable[str], paths: Sequence[str]) -> FloatArray:
    """Return the columns of these paths; NaN for a path that has none."""
    column_of = {name: column for column, name in enumerate(names)}
    columns = np.array([column_of.get(path, -1) for path in paths], dtype=np.int64)
    padded = np.column_stack([values, np.full(len(values), np.nan)])
    return padded[:, columns]


def _pooled_rms(
    trace: Trace, role: Role, only: set[str] | None, paths: Sequence[str]
) -> FloatArray:
    """Return the root mean square over all elements of the tensors of each module."""
    sites = trace.sites_of(role)
    rms = trace.series(role, "rms")
    squares = np.zeros((len(rms), len(paths)))
    sizes = np.zeros((len(rms), len(paths)))
    numel = np.array([max(1, site.numel) for site in sites], dtype=np.float64)
    owners = [site.parent if only is None or site.path in only else None for site in sites]
    for columns, places in _in_rounds(owners, paths):
        values = rms[:, columns]
        known = ~np.isnan(values)
        with np.errstate(over="ignore"):
            squares[:, places] += np.where(known, numel[columns] * values * values, 0.0)
        sizes[:, places] += np.where(known, numel[columns], 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.sqrt(squares / sizes)


def _in_rounds(
    owners: Sequence[str | None], paths: Sequence[str]
) -> Iterable[tuple[IntArray, IntArray]]:
    """Yield columns and the places of their owners; a place occurs at most once per yielded pair.

    This lets `a[:, places] += …` add every column: the n-th column of an owner comes in round n.
    """
    place_of = {path: place for place, path in enumerate(paths)}
    seen: dict[int, int] = {}
    rounds: list[tuple[list[int], list[int]]] = []
    for column, owner in enumerate(owners):
        place = None if owner is None else place_of.get(owner)
        if place is None:
            continue
        number = seen.get(place, 0)
        seen[place] = number + 1
        if number == len(rounds):
            rounds.append(([], []))
        rounds[number][0].append(column)
        rounds[number][1].append(place)
    for columns, places in rounds:
        yield np.array(columns, dtype=np.int64), np.array(places, dtype=np.int64)
