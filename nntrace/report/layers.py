"""The charts of the layers: layer × time heatmaps, profiles by depth, update ratios."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import altair as alt
import numpy as np

from nntrace.report.figure import STEP, Chart, Figure, Rows, data, layered, magnitude
from nntrace.report.theme import SEQUENCE, colour
from nntrace.report.thinning import time_bins
from nntrace.rules.common.layers import columns, update_ratios, weights
from nntrace.schema import Role
from nntrace.text import printable
from nntrace.trace import Site, Trace
from nntrace.trace.model import BoolArray, FloatArray, IntArray

_MOST_LAYERS = 60
_TIME_BINS = 64
_PROFILES = 4
_ROW_HEIGHT = 14
HEALTHY_RATIO = (1e-4, 1e-2)  # around 1e-3, the value usually aimed at
_SMALLEST = 1e-30


@dataclass(frozen=True, slots=True)
class _View:
    """A statistic of a role, drawn by depth and over time."""

    role: Role
    stat: str
    name: str
    title: str
    words: str


_VIEWS: Final = (
    _View(Role.ACTIVATION, "std", "activation", "Activation std", "of a layer's output"),
    _View(
        Role.ACTIVATION_GRAD,
        "rms",
        "activation-gradient",
        "Gradient rms of activations",
        "of the gradient that arrives at a layer's output",
    ),
    _View(
        Role.PARAM_GRAD,
        "rms",
        "gradient",
        "Gradient rms of parameters",
        "of the gradient the optimizer receives",
    ),
)


class _Map(NamedTuple):
    """How to draw a heatmap of layer × time: its texts and its colours.

    Attributes:
        log: whether colours stand for logarithms.
        domain: the values of the first and the last colour; by default the lowest and highest.
    """

    name: str
    title: str
    caption: str
    log: bool = True
    domain: tuple[float, float] | None = None


_OF_LARGEST: Final = (
    "Each cell shows its largest sample. Red: NaN or infinity; blank: not recorded."
)
_RATIO_MAP: Final = _Map(
    "update-ratio-by-layer",
    "Update ratio by layer",
    "Aim at 1e-3: yellow learns too fast, dark too slowly.",
    domain=(-6.0, 0.0),
)
_DEAD_MAP: Final = _Map(
    "dead-units",
    "Dead units",
    "Share of units that were zero for every one of the last examples.",
    log=False,
)


def layer_figures(trace: Trace) -> Iterator[Figure]:
    """The figures on layers for which the run holds data."""
    parameters = weights(trace)
    ratios = update_ratios(trace, parameters)
    if _is_drawn(ratios).any():
        yield Figure(
            "update-ratio",
            "Update ratio rms(Δw) / rms(w)",
            _ratio_chart(trace, ratios),
            "Median and range over all weights. The band is 1e-4 to 1e-2, the line 1e-3.",
            wide=True,
        )
    if np.isfinite(ratios).any():
        yield from _heatmap(trace, parameters, ratios, _RATIO_MAP)
    present = [view for view in _VIEWS if _is_drawn(trace.series(view.role, view.stat)).any()]
    for view in present:
        if len(trace.sites_of(view.role)) > 1:
            yield Figure(
                f"{view.name}-by-depth",
                f"{view.title} by depth",
                _profiles(trace, view),
                f"Each line is one step: {view.words}, from input to output.",
            )
    for view in present:
        sites, values = trace.sites_of(view.role), trace.series(view.role, view.stat)
        drawn = _Map(f"{view.name}-over-time", f"{view.title} over time", _OF_LARGEST)
        yield from _heatmap(trace, sites, values, drawn)
    dead = trace.series(Role.ACTIVATION, "dead_fraction")
    if (dead > 0).any():
        yield from _heatmap(trace, trace.sites_of(Role.ACTIVATION), dead, _DEAD_MAP)


def chosen(count: int, most: int) -> list[int]:
    """At most `most` of the indices 0 … count − 1, evenly spread, the first and last among them."""
    if count <= most:
        return list(range(count))
    return sorted({round(i * (count - 1) / (most - 1)) for i in range(most)})


def label(site: Site) -> str:
    """The path of a site as a short, printable label."""
    return printable(site.path, 60) or "(root)"


def labels(sites: Sequence[Site]) -> list[str]:
    """Distinct labels: paths that are cut to the same text are numbered."""
    seen: dict[str, int] = {}
    result = []
    for site in sites:
        text = label(site)
        seen[text] = seen.get(text, 0) + 1
        result.append(text if seen[text] == 1 else f"{text} ({seen[text]})")
    return result


def _heatmap(
    trace: Trace, sites: Sequence[Site], values: FloatArray, drawn: _Map
) -> Iterator[Figure]:
    """A heatmap of layer × time, if it has a cell; a blank cell was not recorded."""
    picked = chosen(len(sites), _MOST_LAYERS)
    shown = [sites[index] for index in picked]
    rows, bad = _cells(trace, shown, values[:, picked], drawn)
    if not rows and not bad:
        return
    first, last = int(trace.sampled_steps[0]), int(trace.sampled_steps[-1])
    place = {
        "x": alt.X(
            "a:Q",
            title="step",
            axis=alt.Axis(grid=False, tickMinStep=1, format="~s"),
            scale=alt.Scale(nice=False, domain=[first, last + 1]),
        ),
        "x2": alt.X2("b:Q"),
        "y": alt.Y("layer:N", sort=labels(shown), title=None, axis=alt.Axis(labelFont="monospace")),
    }
    colours = alt.Color(
        "z:Q",
        title="log₁₀" if drawn.log else None,
        scale=alt.Scale(scheme=SEQUENCE, domain=drawn.domain or alt.Undefined, clamp=True),
        legend=alt.Legend(gradientLength=100, gradientThickness=8),
    )
    tooltip = [alt.Tooltip("layer:N"), alt.Tooltip("a:Q", title="from step")]
    value = alt.Tooltip("v:Q", format=".3g", title=drawn.title)
    filled = alt.Chart(data(rows)).mark_rect()
    layers = [filled.encode(**place, color=colours, tooltip=[*tooltip, value])]
    if bad:
        share = alt.Tooltip("share:Q", format=".1%", title="NaN or infinite")
        red = alt.Chart(data(bad)).mark_rect(color=colour("error"))
        layers.append(red.encode(**place, tooltip=[*tooltip, share]))
    part = f" {len(picked)} of {len(sites)} layers, evenly spread."
    caption = drawn.caption + (part if len(picked) < len(sites) else "")
    chart = layered(*layers, height=max(60, _ROW_HEIGHT * len(picked)))
    yield Figure(drawn.name, drawn.title, chart, caption, wide=True)


def _cells(
    trace: Trace, sites: Sequence[Site], values: FloatArray, drawn: _Map
) -> tuple[Rows, Rows]:
    """The cells with a value, and those with non-finite samples, whose share they have.

    A cell shows its largest sample, so that no peak is lost. On a logarithmic scale zero has the
    lowest colour.
    """
    steps, names = trace.sampled_steps, labels(sites)
    broken = columns(trace, sites[0].role, "nonfinite_fraction", sites)
    bins = time_bins(len(steps), _TIME_BINS)
    ends = [int(steps[part[0]]) for part in bins[1:]] + [int(steps[-1]) + 1]
    shares, largest = _largest(broken, bins), _largest(values, bins)
    highest = 10.0 ** drawn.domain[0] if drawn.domain else 1.0  # that the lowest colour may mean
    lowest = max(_SMALLEST, float(largest[largest > 0].min(initial=highest)))
    rows: Rows = []
    bad: Rows = []
    for number, (part, end) in enumerate(zip(bins, ends, strict=True)):
        begin = int(steps[part[0]])
        cells = zip(names, shares[number].tolist(), largest[number].tolist(), strict=True)
        for text, share, value in cells:
            cell = {"layer": text, "a": begin, "b": end}
            if share > 0:
                bad.append({**cell, "share": share})
            if value > -np.inf:
                height = math.log10(max(value, lowest)) if drawn.log else value
                rows.append({**cell, "v": value, "z": height})
    return rows, bad


def _largest(values: FloatArray, parts: Sequence[IntArray]) -> FloatArray:
    """The largest finite values in parts of the samples [parts, sites]; −∞ where there is none."""
    usable = np.where(np.isfinite(values), values, -np.inf)
    return np.stack([usable[part].max(axis=0) for part in parts])


def _is_drawn(values: FloatArray) -> BoolArray:
    """Which values have a place on a logarithmic axis."""
    return np.isfinite(values) & (values > 0)


def _profiles(trace: Trace, view: _View) -> Chart:
    """A statistic by depth at a few of the sampled steps."""
    sites, values = trace.sites_of(view.role), trace.series(view.role, view.stat)
    picked = chosen(len(sites), _MOST_LAYERS)
    names = labels([sites[index] for index in picked])
    rows: Rows = []
    drawn = np.flatnonzero(_is_drawn(values).any(axis=1))
    for sample in drawn[chosen(len(drawn), _PROFILES)]:
        step = int(trace.sampled_steps[sample])
        for depth, text in zip(picked, names, strict=True):
            value = float(values[sample, depth])
            if np.isfinite(value) and value > 0:
                rows.append({"depth": depth, "layer": text, "step": step, "v": value})
    chart: Chart = alt.Chart(data(rows)).mark_line(point=alt.OverlayMarkDef(size=18))
    chart = chart.encode(
        x=alt.X("depth:Q", title="depth", axis=alt.Axis(grid=False, tickMinStep=1)),
        y=magnitude("v:Q", np.array([row["v"] for row in rows])),
        color=alt.Color("step:O", title="step", scale=alt.Scale(scheme=SEQUENCE)),
        tooltip=[
            alt.Tooltip("layer:N"),
            alt.Tooltip("step:Q"),
            alt.Tooltip("v:Q", format=".3g", title=view.title),
        ],
    )
    return chart.properties(height=200)


def _ratio_chart(trace: Trace, ratios: FloatArray) -> Chart:
    rows: Rows = []
    for part in time_bins(len(ratios), 400):
        known = ratios[part]
        known = known[np.isfinite(known) & (known > 0)]
        if len(known):
            step = int(trace.sampled_steps[part[0]])
            low, middle, high = float(known.min()), float(np.median(known)), float(known.max())
            rows.append({"step": step, "low": low, "median": middle, "high": high})
    ends = [row[end] for row in rows for end in ("low", "high")]
    y = magnitude("low:Q", np.array([*ends, *HEALTHY_RATIO]))
    base = alt.Chart(data(rows))
    tooltip = [
        alt.Tooltip("step:Q"),
        *(alt.Tooltip(f"{n}:Q", format=".2g") for n in ("low", "median", "high")),
    ]
    extent = base.mark_area(color=colour("main"), opacity=0.18).encode(
        x=STEP, y=y, y2=alt.Y2("high:Q"), tooltip=tooltip
    )
    middle_line = base.mark_line(color=colour("main")).encode(
        x=STEP, y=alt.Y("median:Q"), tooltip=tooltip
    )
    return layered(*band(*HEALTHY_RATIO, target=1e-3), extent, middle_line, height=220)


def band(low: float, high: float, target: float | None = None) -> list[alt.Chart]:
    """Layers that show the healthy range of the vertical axis, and the value to aim at."""
    area = alt.Chart(data([{"low": low, "high": high}])).mark_rect(
        color=colour("band"), opacity=0.14
    )
    layers = [area.encode(y=alt.Y("low:Q", title=None), y2=alt.Y2("high:Q"))]
    if target is not None:
        line = alt.Chart(data([{"target": target}])).mark_rule(
            color=colour("band"), strokeDash=[2, 3]
        )
        layers.append(line.encode(y=alt.Y("target:Q", title=None)))
    return layers
