"""One layer in full.

Every statistic of its output, parameters, gradients and updates over time, their histograms, and
its findings.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow.compute as pc

from nntrace.rules import Finding
from nntrace.rules.rule import source_line
from nntrace.schema import STATISTICS, Role
from nntrace.trace import Site, Trace
from nntrace.trace.model import FloatArray
from nntrace_tui.bands import Bands
from nntrace_tui.pages.curve import Curve, curve
from nntrace_tui.pages.history import log_ratio
from nntrace_tui.pages.layers import layer_rows
from nntrace_tui.pages.site_series import SiteSeries, site_series

LOG_RATIO: Final = "log Δw/w"
_HISTOGRAMS_SHOWN: Final = 120
_OCTAVES_SHOWN: Final = 14
_CURVE_BUCKETS: Final = 150


@dataclass(frozen=True, slots=True, eq=False)
class HistogramHistory:
    """Histograms over time, on signed powers of two.

    Attributes:
        lowest_octave: 2 to this power is the smallest magnitude not counted as zero.
        shares: [bins, columns], with 1 as the largest of each column. The middle bin is about zero,
            the n-th above it begins at 2^(lowest_octave + n − 1), those below are negative.
    """

    lowest_octave: int = 0
    steps: tuple[int, ...] = ()
    shares: FloatArray | None = None


@dataclass(frozen=True, slots=True, eq=False)
class SiteColumn:
    """One site of the layer: the latest values of its statistics, and their curves.

    Attributes:
        heading: the column's heading in the table: `output`, `gradient`, ….
        latest: values by name of the statistic; a statistic without a value is missing.
        bands: the range in which a statistic is unremarkable, for those that have one.
    """

    heading: str
    site: Site
    latest: dict[str, float]
    curves: dict[str, Curve]
    bands: dict[str, tuple[float, float]]
    histograms: HistogramHistory


@dataclass(frozen=True, slots=True, eq=False)
class LayerPage:
    """A layer; `path` is None as long as no layer was recorded.

    Attributes:
        paths: the paths of all layers, in depth order.
        parameters: the names of its parameters; the columns show number `parameter`.
        source: the line of the user's program that built it.
    """

    path: str | None
    paths: tuple[str, ...] = ()
    module_type: str = ""
    file: str | None = None
    line: int | None = None
    source: str | None = None
    parameters: tuple[str, ...] = ()
    parameter: int = 0
    columns: tuple[SiteColumn, ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def location(self) -> str | None:
        """The place in the user's program as `file:line`, to copy."""
        return None if self.file is None else f"{self.file}:{self.line}"


_HEADINGS: Final = {
    Role.ACTIVATION: "output",
    Role.ACTIVATION_GRAD: "its grad",
    Role.PARAM: "weight",
    Role.PARAM_GRAD: "gradient",
    Role.UPDATE: "update",
}


def layer_page(
    trace: Trace, path: str | None, parameter: int, findings: tuple[Finding, ...], bands: Bands
) -> LayerPage:
    """Build the page of the layer at `path`, or of the first layer, with one of its parameters."""
    paths = tuple(row.path for row in layer_rows(trace)[0])
    if path is None and not paths:
        return LayerPage(None)
    path = paths[0] if path is None else path
    own = [trace.site(path, role) for role in (Role.ACTIVATION, Role.ACTIVATION_GRAD)]
    of_parent = [site for site in trace.sites if site.parent == path]
    names = tuple(site.path for site in of_parent if site.role is Role.PARAM)
    chosen = parameter % len(names) if names else 0
    name = names[chosen] if names else None
    parameters = [
        site
        for role in (Role.PARAM, Role.PARAM_GRAD, Role.UPDATE)
        for site in of_parent
        if site.role is role and site.path == name
    ]
    sites = [site for site in [*own, *parameters] if site is not None]
    first = next((site for site in [*own, *of_parent] if site is not None and site.file), None)
    file, line = (first.file, first.line) if first is not None else (None, None)
    series = site_series(trace, sites)
    members = {site.id for site in [*own, *of_parent] if site is not None}
    return LayerPage(
        path=path,
        paths=paths,
        module_type=next((site.module_type for site in sites if site.module_type), ""),
        file=file,
        line=line,
        source=source_line(file, line) if file and line else None,
        parameters=tuple(name.removeprefix(path).lstrip("./") for name in names),
        parameter=chosen,
        columns=tuple(_column(trace, site, series, bands) for site in sites),
        findings=tuple(f for f in findings if f.site is not None and f.site.id in members),
    )


def _column(trace: Trace, site: Site, series: Mapping[int, SiteSeries], bands: Bands) -> SiteColumn:
    known = {name: series[site.id].known(name) for name in STATISTICS}
    if site.role is Role.UPDATE:
        known[LOG_RATIO] = _log_ratio(series[site.id], trace.site(site.path, Role.PARAM), series)
    known = {name: (steps, values) for name, (steps, values) in known.items() if len(steps)}
    return SiteColumn(
        heading=_HEADINGS[site.role],
        site=site,
        latest={name: float(values[-1]) for name, (_, values) in known.items()},
        curves={name: curve(*pair, _CURVE_BUCKETS) for name, pair in known.items()},
        bands=_bands_of(site.role, bands),
        histograms=histogram_history(trace, site),
    )


def _bands_of(role: Role, bands: Bands) -> dict[str, tuple[float, float]]:
    if role is Role.UPDATE:
        return {LOG_RATIO: bands.log_ratio.band}
    if role is not Role.ACTIVATION:
        return {}
    return {
        "std": bands.std.band,
        "dead_fraction": bands.dead.band,
        "saturated_fraction": bands.saturated.band,
    }


def _log_ratio(
    update: SiteSeries, weight: Site | None, series: Mapping[int, SiteSeries]
) -> tuple[FloatArray, FloatArray]:
    """Return log10 rms(Δw)/rms(w) at the steps that have both; NaN where no update is finite."""
    if weight is None or weight.id not in series:
        return update.steps[:0], update.steps[:0]
    before = series[weight.id]
    steps, here, there = np.intersect1d(update.steps, before.steps, return_indices=True)
    ratios = log_ratio(update.values["rms"][here], before.values["rms"][there])
    known = ~np.isnan(ratios) | (update.values["nonfinite_fraction"][here] == 1.0)
    return steps[known], ratios[known]


def histogram_history(trace: Trace, site: Site) -> HistogramHistory:
    """Return a site's histograms, evenly chosen in time, on the bins with most of its values."""
    table = trace.table("histograms").filter(pc.field("site") == site.id)
    if not len(table):
        return HistogramHistory()
    chosen = np.unique(np.linspace(0, len(table) - 1, _HISTOGRAMS_SHOWN).astype(np.int64))
    rows = [row for row in table.take(chosen).to_pylist() if _is_histogram(row)]
    edges = [math.frexp(edge)[1] - 1 for row in rows for edge in row["edges"] if _is_size(edge)]
    if not edges:
        return HistogramHistory()
    top = max(edges)
    bottom = max(min(edges), top - _OCTAVES_SHOWN + 1)
    octaves = top - bottom + 1
    shares = np.zeros((2 * octaves + 1, len(rows)))
    for column, row in enumerate(rows):
        for edge, count in zip(row["edges"], row["counts"], strict=True):
            if _is_size(edge) and (octave := math.frexp(edge)[1] - 1 - bottom) >= 0:
                shares[octaves + int(math.copysign(octave + 1, edge)), column] += count
            elif math.isfinite(edge):
                shares[octaves, column] += count
    peaks = shares.max(axis=0)
    return HistogramHistory(
        bottom, tuple(row["step"] or 0 for row in rows), shares / np.where(peaks > 0, peaks, 1.0)
    )


def _is_size(edge: float) -> bool:
    return edge != 0 and math.isfinite(edge)


def _is_histogram(row: dict[str, Any]) -> bool:
    edges, counts = row["edges"], row["counts"]
    if edges is None or counts is None or len(edges) != len(counts):
        return False
    return None not in edges and None not in counts
