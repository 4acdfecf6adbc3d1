"""The layers: one row each from the last sampled steps, and one metric of them all over time.

The rows are built from a fixed number of rows at the end of the statistics, however long the run.
"""

import math
from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from nntrace.rules.common.framework import speaks_keras
from nntrace.schema import Role
from nntrace.trace import Site, Trace
from nntrace.trace.decode import floats, integers
from nntrace_tui.bands import Bands
from nntrace_tui.metrics import Metric, Scale
from nntrace_tui.pages.heat import Heat, heat
from nntrace_tui.pages.history import layer_history, nonfinite_history

# A layer that did not run in the last sampled step (a GAN's other network, a branch) is looked
# for in this many earlier ones.
_STEPS_LOOKED_BACK = 16
_COLUMNS = ("std", "rms", "dead_fraction", "saturated_fraction", "nonfinite_fraction")
_OF_OUTPUTS = (Role.ACTIVATION, Role.ACTIVATION_GRAD)

Numbers = dict[str, float]


@dataclass(frozen=True, slots=True)
class LayerRow:
    """A module that has an output or parameters of its own; None where nothing was recorded.

    Attributes:
        activation_std: standard deviation of its output.
        gradient_rms: root mean square over all gradients of its parameters.
        log10_update_ratio: log10 of rms(Δw)/rms(w) over all its parameters; −inf if nothing
            changed.
        dead_fraction: share of its output's units that are dead.
        saturated_fraction: share of its output at the ends of the range.
        nonfinite_fraction: the worst of its output, gradients, parameters and updates.
    """

    path: str
    module_type: str
    activation_std: float | None
    gradient_rms: float | None
    log10_update_ratio: float | None
    dead_fraction: float | None
    saturated_fraction: float | None
    nonfinite_fraction: float | None


@dataclass(frozen=True, slots=True, eq=False)
class LayersPage:
    """The layers in depth order.

    Attributes:
        sampled_step: the step that the rows show; None before the first sample.
        heat: `metric` over time, a row per layer.
        scale: what the levels in `heat` mean.
        bands: those of the numbers in the rows.
        anomalies: for each layer's row, the largest |level| over all metrics.
        separator: what joins the names of a path.
    """

    rows: tuple[LayerRow, ...]
    sampled_step: int | None
    metric: Metric
    heat: Heat
    scale: Scale
    bands: Bands
    anomalies: tuple[float, ...]
    separator: str = "."


def layers_page(trace: Trace, metric: Metric, bands: Bands) -> LayersPage:
    """Build the page: the layers now, and the metric over all sampled steps."""
    rows, step = layer_rows(trace)
    paths = [row.path for row in rows]
    values = layer_history(trace, metric, paths)
    scale = bands.scale(metric, values)
    levels = scale.levels(values)
    levels[nonfinite_history(trace, paths) > 0] = math.inf
    return LayersPage(
        rows=rows,
        sampled_step=step,
        metric=metric,
        heat=heat(levels, trace.sampled_steps),
        scale=scale,
        bands=bands,
        anomalies=_anomalies(rows, bands),
        separator="/" if speaks_keras(trace) else ".",
    )


def _anomalies(rows: tuple[LayerRow, ...], bands: Bands) -> tuple[float, ...]:
    """Return how far each layer's worst number is outside its band; infinite if not finite."""
    if not rows:
        return ()
    worst = np.zeros(len(rows))
    columns = {
        Metric.ACTIVATION_STD: [row.activation_std for row in rows],
        Metric.GRADIENT_RMS: [row.gradient_rms for row in rows],
        Metric.UPDATE_RATIO: [row.log10_update_ratio for row in rows],
        Metric.DEAD: [row.dead_fraction for row in rows],
        Metric.SATURATED: [row.saturated_fraction for row in rows],
    }
    for metric, column in columns.items():
        values = np.array(column, dtype=np.float64)
        worst = np.fmax(worst, np.abs(bands.scale(metric, values).levels(values)))
    worst[[bool(row.nonfinite_fraction) for row in rows]] = math.inf
    return tuple(worst.tolist())


def layer_rows(trace: Trace) -> tuple[tuple[LayerRow, ...], int | None]:
    """Return the layers in depth order, and the step of the last sample."""
    latest, step = _latest_statistics(trace)
    sites: dict[str, list[Site]] = defaultdict(list)
    for site in trace.sites:
        if site.role in _OF_OUTPUTS or site.role.is_of_parameters:
            sites[site.module].append(site)
    # A container whose output is its last child's has a site but never a row of statistics.
    seen = {
        path: group
        for path, group in sites.items()
        if not latest or any(site.id in latest for site in group)
    }
    return tuple(_row(path, group, latest) for path, group in seen.items()), step


def _row(path: str, sites: list[Site], latest: dict[int, Numbers]) -> LayerRow:
    numbers = [(site, latest[site.id]) for site in sites if site.id in latest]
    activation = next((n for site, n in numbers if site.role is Role.ACTIVATION), {})
    return LayerRow(
        path=path,
        module_type=next((site.module_type for site in sites if site.module_type), ""),
        activation_std=_known(activation.get("std")),
        gradient_rms=_pooled_rms(numbers, Role.PARAM_GRAD),
        log10_update_ratio=_log10_update_ratio(numbers),
        dead_fraction=_known(activation.get("dead_fraction")),
        saturated_fraction=_known(activation.get("saturated_fraction")),
        nonfinite_fraction=max(
            (n["nonfinite_fraction"] for _, n in numbers if n["nonfinite_fraction"] >= 0),
            default=None,
        ),
    )


def _latest_statistics(trace: Trace) -> tuple[dict[int, Numbers], int | None]:
    """Return the last recorded row of each site, and the last step."""
    table = trace.table("stats")
    size = max(1, len(trace.sites)) * _STEPS_LOOKED_BACK
    tail = table.slice(max(0, len(table) - size)).select(["step", "site", *_COLUMNS])
    if not len(tail):
        return {}, None
    sites = integers(tail, "site")[::-1]
    ids, first = np.unique(sites, return_index=True)
    rows = len(sites) - 1 - first
    columns = {name: floats(tail, name) for name in _COLUMNS}
    # Dead units are only known after enough rows, and may be counted less often than the rest.
    known = ~np.isnan(columns["dead_fraction"])
    dead = dict(zip(sites[::-1][known].tolist(), columns["dead_fraction"][known], strict=True))
    latest = {
        int(site): {name: float(values[row]) for name, values in columns.items()}
        | {"dead_fraction": float(dead.get(int(site), math.nan))}
        for site, row in zip(ids, rows, strict=True)
    }
    return latest, tail["step"][-1].as_py()


def _log10_update_ratio(numbers: list[tuple[Site, Numbers]]) -> float | None:
    """Return the ratio over parameters that an optimizer updates; frozen ones would lower it."""
    updated = {site.path for site, _ in numbers if site.role is Role.UPDATE}
    numbers = [(site, values) for site, values in numbers if site.path in updated]
    update, weight = (_pooled_rms(numbers, role) for role in (Role.UPDATE, Role.PARAM))
    if update is None or not weight or not math.isfinite(update) or not math.isfinite(weight):
        return None
    return math.log10(update / weight) if update > 0 else -math.inf


def _pooled_rms(numbers: list[tuple[Site, Numbers]], role: Role) -> float | None:
    """Return the root mean square over all elements of several tensors."""
    squares = size = 0.0
    for site, values in numbers:
        if site.role is role and not math.isnan(values["rms"]):
            squares += max(1, site.numel) * values["rms"] * values["rms"]
            size += max(1, site.numel)
    return math.sqrt(squares / size) if size else None


def _known(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else value
