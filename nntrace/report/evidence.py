"""The chart beside a finding: its rule's series, the steps where it holds, the healthy band."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final

import altair as alt
import numpy as np

from nntrace.report.experiments import probe_drawing
from nntrace.report.figure import STEP, Chart, Figure, Rows, data, hues, layered, magnitude
from nntrace.report.histograms import label_figure
from nntrace.report.layers import HEALTHY_RATIO, band, chosen, label, labels
from nntrace.report.theme import colour
from nntrace.report.thinning import min_max
from nntrace.report.training import loss_layers
from nntrace.rules import Finding, get_rule
from nntrace.rules.common.depth import signal_of
from nntrace.rules.common.layers import update_ratios
from nntrace.schema import Role
from nntrace.trace import Site, Trace
from nntrace.trace.model import FloatArray, IntArray

Thresholds = Mapping[str, Mapping[str, Any]]
_DEFAULTS: Final[Thresholds] = MappingProxyType({})
_SIGNAL: Final = "std between examples"
_RATIO: Final = "update ratio"
_POINTS = 400
_MOST_LAYERS = 60


@dataclass(frozen=True, slots=True)
class View:
    """What to draw of a finding's site.

    Attributes:
        stat: a statistic, or one of `_DERIVED`, which are computed from several.
        low: the lower end of the healthy band, or the name of the rule's threshold for it.
        high: the upper end, likewise.
        by_depth: whether to draw one value per layer instead of one per step.
    """

    stat: str
    low: float | str | None = None
    high: float | str | None = None
    by_depth: bool = False


# For other codes, a finding at a site gets its role's statistic, and one on training the loss.
VIEWS: Final = {
    "ACT01": View("std", 0.5, 2.0),
    "ACT02": View(_SIGNAL, by_depth=True),
    "ACT03": View("rms", by_depth=True),
    "ACT04": View("dead_fraction", 0.0, "warning_fraction"),
    "ACT05": View("saturated_fraction", 0.0, "fraction"),
    "ACT06": View("mean"),
    "ACT07": View("example_std"),
    "DAT01": View("std"),
    "DAT04": View("std", 0.3, "scale"),
    "GRD01": View("rms", by_depth=True),
    "GRD10": View("rms", by_depth=True),
    "INI03": View(_SIGNAL, by_depth=True),
    "LOS12": View("example_std"),
    "NUM01": View("nonfinite_fraction"),
    "PAR01": View("mean"),
    "UPD01": View(_RATIO, HEALTHY_RATIO[0], "warning"),
    "UPD02": View(_RATIO, "ratio", HEALTHY_RATIO[1]),
    "UPD03": View(_RATIO, *HEALTHY_RATIO),
}
_OF_ROLE: Final = {
    Role.ACTIVATION: "std",
    Role.ACTIVATION_GRAD: "rms",
    Role.PARAM: "std",
    Role.PARAM_GRAD: "rms",
    Role.UPDATE: "rms",
    Role.INPUT: "std",
    Role.TARGET: "std",
    Role.OUTPUT: "std",
}
_ROW_SUMS: Final = ("LOS02", "LOS03")
_LABELS: Final = ("DAT09", "DAT10", "DAT11")


def evidence_figure(
    trace: Trace, finding: Finding, number: int, thresholds: Thresholds = _DEFAULTS
) -> Figure | None:
    """The chart for one finding, or None when no series shows it.

    Args:
        trace: the run.
        finding: the finding to show.
        number: a number for the figure's name.
        thresholds: the thresholds that were changed, by rule code, so that the band is drawn where
            the rule saw it.
    """
    view = _view(finding, thresholds.get(finding.code, {}))
    chart, caption = _drawing(trace, finding, view)
    if chart is None:
        return None
    return Figure(f"evidence-{number}-{finding.code}", finding.name, chart, caption)


def _view(finding: Finding, changed: Mapping[str, Any]) -> View:
    """The view of a finding, with the ends of the band as numbers."""
    view = VIEWS.get(finding.code)
    if view is None:
        return View("" if finding.site is None else _OF_ROLE.get(finding.site.role, ""))
    if finding.evidence.get("between_examples"):
        view = replace(view, stat=_SIGNAL)
    known = {t.name: t.default for t in get_rule(finding.code).thresholds} | dict(changed)
    low, high = (known.get(e) if isinstance(e, str) else e for e in (view.low, view.high))
    return replace(view, low=low, high=high)


def _drawing(trace: Trace, finding: Finding, view: View) -> tuple[Chart | None, str]:
    if finding.code in _LABELS:
        figure = label_figure(trace)
        return (None, "") if figure is None else (figure.chart, figure.caption)
    if finding.code == "GRD02" and np.isfinite(trace.steps.grad_norm).any():
        norm = trace.steps.grad_norm
        return _over_time(trace.steps.step, norm, finding, View("")), "gradient norm"
    if finding.code in _ROW_SUMS:
        return _row_sums(trace), "lowest and highest sum of a row of predictions; probabilities: 1"
    if finding.code.startswith("PRB"):
        return probe_drawing(trace, finding)
    site = finding.site
    is_on_loss = finding.code.startswith(("LOS", "UPD", "NUM")) and (
        site is None or site.role not in _OF_ROLE or _level(finding) is not None
    )
    if is_on_loss and np.isfinite(trace.steps.loss).any():
        return _loss(trace, finding), f"loss{_which(finding, trace.steps.step)}"
    if site is not None and site.role in _OF_ROLE:
        if view.by_depth:
            return _by_depth(trace, site, view, finding)
        values = _series(trace, site.role, view)[:, trace.sites_of(site.role).index(site)]
        words = view.stat.replace("_", " ")
        steps = trace.sampled_steps
        caption = f"{words} of {label(site)} ({site.role.value}){_which(finding, steps)}"
        chart = _over_time(steps, values, finding, view)
        return (chart, caption) if chart is not None else (None, "")
    return None, ""


def _series(trace: Trace, role: Role, view: View) -> FloatArray:
    """[sampled_steps, sites of the role]: what the view shows, as the rules compute it."""
    if view.stat == _SIGNAL:
        return signal_of(trace)
    if view.stat == _RATIO:
        return update_ratios(trace, trace.sites_of(role))
    return trace.series(role, view.stat)


def _loss(trace: Trace, finding: Finding) -> Chart:
    layers: list[Chart] = [*_shade(trace, finding), *loss_layers(trace)]
    if (level := _level(finding)) is not None:
        rule = alt.Chart(data([{"chance": level}]))
        line = rule.mark_rule(color=colour("band"), strokeDash=[4, 3])
        layers.append(
            line.encode(y=alt.Y("chance:Q"), tooltip=[alt.Tooltip("chance:Q", format=".4g")])
        )
    return layered(*layers, height=170)


def _level(finding: Finding) -> float | None:
    """The loss that the finding compares with: that of a model that knows nothing."""
    level = finding.evidence.get("chance", finding.evidence.get("expected"))
    return float(level) if isinstance(level, int | float) and np.isfinite(level) else None


def _row_sums(trace: Trace) -> Chart | None:
    rows: Rows = [
        {"step": batch.step, "v": value, "what": what}
        for batch in trace.batches
        for what, value in (("lowest", batch.row_sum_min), ("highest", batch.row_sum_max))
        if value is not None and np.isfinite(value)
    ]
    if not rows:
        return None
    chart = alt.Chart(data(rows[:_POINTS])).mark_line(point=len(rows) < 40)
    lines: Chart = chart.encode(
        x=STEP,
        y=alt.Y("v:Q", title=None),
        color=hues("what", {"lowest": "main", "highest": "second"}),
        tooltip=[alt.Tooltip("step:Q"), alt.Tooltip("what:N"), alt.Tooltip("v:Q", format=".6g")],
    )
    return lines.properties(height=150)


def _over_time(steps: np.ndarray, values: FloatArray, finding: Finding, view: View) -> Chart | None:
    kept = min_max(values, _POINTS)
    rows: Rows = [
        {"step": int(s), "v": float(v)} for s, v in zip(steps[kept], values[kept], strict=True)
    ]
    if not rows:
        return None
    known = values[kept]
    log = bool((known > 0).all()) and known.max() > 20 * known.min()
    low, high = (None if e is None else float(e) for e in (view.low, view.high))
    even = alt.Y("v:Q", title=None, scale=alt.Scale(zero=low == 0.0), axis=alt.Axis(format="~g"))
    y = magnitude("v:Q", known) if log else even
    lines = alt.Chart(data(rows)).mark_line(color=colour("main"), point=len(rows) < 40)
    layers = _shade_steps(finding, int(steps[0]), int(steps[-1]))
    if low is not None and high is not None and (low > 0 or not log):
        layers += band(low, high)
    tooltip = [alt.Tooltip("step:Q"), alt.Tooltip("v:Q", format=".4g", title="value")]
    layers.append(lines.encode(x=STEP, y=y, tooltip=tooltip))
    return layered(*layers, height=150)


def _by_depth(trace: Trace, site: Site, view: View, finding: Finding) -> tuple[Chart | None, str]:
    sites = trace.sites_of(site.role)
    values = _series(trace, site.role, view)
    inside = (trace.sampled_steps >= finding.steps[0]) & (trace.sampled_steps <= finding.steps[1])
    part = values[inside] if inside.any() else values
    picked = chosen(len(sites), _MOST_LAYERS)
    names = labels([sites[index] for index in picked])
    rows: Rows = []
    for depth, text in zip(picked, names, strict=True):
        known = part[:, depth][np.isfinite(part[:, depth])]
        if len(known) and np.median(known) > 0:
            rows.append({"depth": depth, "layer": text, "v": float(np.median(known))})
    if not rows:
        return None, ""
    chart = alt.Chart(data(rows)).mark_line(color=colour("main"), point=True)
    chart = chart.encode(
        x=alt.X("depth:Q", axis=alt.Axis(grid=False, tickMinStep=1)),
        y=magnitude("v:Q", np.array([row["v"] for row in rows])),
        tooltip=[alt.Tooltip("layer:N"), alt.Tooltip("v:Q", format=".3g", title=view.stat)],
    ).properties(height=150)
    caption = f"{view.stat} of each {site.role.value.replace('_', ' ')}, from input to output"
    if len(picked) < len(sites):
        caption += f"; {len(picked)} of {len(sites)}, evenly spread"
    return chart, caption


def _shade(trace: Trace, finding: Finding) -> list[alt.Chart]:
    steps = trace.steps.step
    return _shade_steps(finding, int(steps[0]), int(steps[-1])) if len(steps) else []


def _which(finding: Finding, steps: IntArray) -> str:
    """The words that a caption adds where some steps are shaded."""
    shaded = len(steps) and _shade_steps(finding, int(steps[0]), int(steps[-1]))
    return "; the finding holds at the shaded steps" if shaded else ""


def _shade_steps(finding: Finding, first: int, last: int) -> list[alt.Chart]:
    """A shaded area over the steps of a finding, unless these are all steps."""
    start, end = max(first, finding.steps[0]), min(last, finding.steps[1])
    if (start, end) == (first, last) or end < start:
        return []
    rows: Rows = [{"step": start, "end": max(end, start + 1)}]
    area = alt.Chart(data(rows)).mark_rect(color=colour(finding.level.value), opacity=0.10)
    return [area.encode(x=STEP, x2=alt.X2("end:Q"))]
