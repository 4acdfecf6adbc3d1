"""The charts of the training as a whole: loss, learning rate, gradient norm, time of a step."""

from collections.abc import Iterator, Sequence

import altair as alt
import numpy as np
import pyarrow.compute as pc

from nntrace.report.figure import STEP, Chart, Figure, Rows, data, hues, layered, magnitude
from nntrace.report.theme import colour
from nntrace.report.thinning import min_max, smoothed
from nntrace.rules import Finding, Severity
from nntrace.text import printable
from nntrace.trace import Trace
from nntrace.trace.model import FloatArray, IntArray

_POINTS = 1200
_TIMES = 600  # points of each line of the times
_MOST_LOGGED = 24
_MOST_STRETCHES = 200  # of steps whose loss is not finite
_SMOOTH_FROM = 60  # steps; a shorter curve needs no smoothing
_HUES = ("main", "second", "third", "band")
_LOG_SPAN = 30.0  # a loss that falls by more than this factor gets a logarithmic scale


def training_figures(trace: Trace, findings: Sequence[Finding]) -> Iterator[Figure]:
    """The figures on the training for which the run holds data."""
    steps = trace.steps
    if np.isfinite(steps.loss).any():
        yield Figure(
            "loss",
            "Loss",
            layered(*loss_layers(trace), *_marks(findings, trace), height=260),
            "Every optimizer step, thinned so that peaks stay; the strong line is smoothed. "
            "Vertical marks are the steps at which findings begin"
            + ("; in red, steps whose loss is NaN or infinite." if _broken(trace) else "."),
            wide=True,
        )
    if np.isfinite(steps.lr).any():
        chart = _lines(_by_optimizer(trace, steps.lr), "learning rate", "main", log=False)
        yield Figure("learning-rate", "Learning rate", chart, "That of the first parameter group.")
    if np.isfinite(steps.grad_norm).any():
        rows = _by_optimizer(trace, steps.grad_norm)
        chart = _lines(rows, "gradient norm", "third", log=_spans(steps.grad_norm, 10.0))
        caption = (
            "Norm of all gradients as the optimizer receives them, estimated on sampled steps."
        )
        yield Figure("gradient-norm", "Gradient norm", chart, caption)
    for number, (name, (step, values)) in enumerate(trace.scalars.items()):
        logged = [{**row, "optimizer": ""} for row in _rows(step, values, _POINTS)]
        if logged and number < _MOST_LOGGED:
            shown = printable(name, 40)
            chart = _lines(logged, shown, "second", log=False)
            yield Figure(f"logged-{number + 1}", shown, chart, "Logged by the program.")
    if steps.duration_ns.any():
        yield Figure(
            "step-time",
            "Time of a step",
            _time_chart(trace),
            "And the part of it spent waiting for data.",
        )


def loss_layers(trace: Trace) -> list[Chart]:
    """The layers of the loss chart: every step, the smoothed curve, evaluations, NaN.

    Optimizers that take turns, as in a GAN, have a curve each.
    """
    loss = trace.steps.loss
    log = _spans(loss, _LOG_SPAN)
    axis = alt.Axis(format=".3~g") if log else alt.Undefined
    y = alt.Y("value:Q", title="loss", scale=_scale(log), axis=axis)
    raw = _by_optimizer(trace, loss)
    is_long = len(loss) >= _SMOOTH_FROM
    tooltip = [
        alt.Tooltip("optimizer:N"),
        alt.Tooltip("step:Q"),
        alt.Tooltip("value:Q", format=".4g", title="loss"),
    ]
    thin = alt.Chart(data(raw)).mark_line(
        opacity=0.35 if is_long else 1.0, strokeWidth=1 if is_long else 1.6
    )
    hue = _hue(raw, "main")
    layers: list[Chart] = [thin.encode(x=STEP, y=y, color=hue, tooltip=tooltip)]
    if is_long:
        strong = alt.Chart(data(_by_optimizer(trace, loss, smooth=True, log=log)))
        strong = strong.mark_line(strokeWidth=2)
        layers.append(strong.encode(x=STEP, y=y, color=hue, tooltip=tooltip))
    if evaluated := _evaluations(trace):
        points = alt.Chart(data(evaluated)).mark_line(point=True, color=colour("second"))
        layers.append(
            points.encode(x=STEP, y=y, tooltip=[alt.Tooltip("step:Q"), alt.Tooltip("value:Q")])
        )
    return [*layers, *_broken(trace)]


def _by_optimizer(
    trace: Trace, values: FloatArray, *, smooth: bool = False, log: bool = False
) -> Rows:
    """The finite values of each optimizer's steps as rows; more than four are taken together.

    `log` says that the axis is logarithmic, so that smoothing averages logarithms.
    """
    names = np.array(trace.steps.optimizer, dtype=object)
    known = np.isfinite(values)
    present = list(dict.fromkeys(names[known]))
    rows: Rows = []
    for name in present if len(present) <= len(_HUES) else [None]:
        mine = known if name is None else known & (names == name)
        step, series = trace.steps.step[mine], values[mine]
        kept = min_max(series, _POINTS // min(len(present), len(_HUES)))
        if smooth:
            series = smoothed(series, max(10, len(series) // 40), logarithmic=log)
        shown = printable(name or "", 40)
        for index in kept:
            value = float(series[index])
            rows.append({"step": int(step[index]), "value": value, "optimizer": shown})
    return rows


def _hue(rows: Rows, single: str) -> alt.Color | alt.ColorValue:
    """The colour of the lines: `single`, or one for each of several optimizers, with a legend."""
    names = list(dict.fromkeys(row["optimizer"] for row in rows))
    if len(names) < 2:
        return alt.ColorValue(colour(single))
    return hues("optimizer", dict(zip(names, _HUES, strict=False)))


def _broken(trace: Trace) -> list[alt.Chart]:
    """The stretches of steps whose loss is NaN or infinite, and a mark where the first begins."""
    recorded = pc.is_valid(trace.table("steps")["loss"]).to_numpy(zero_copy_only=False)
    step, broken = trace.steps.step[recorded], ~np.isfinite(trace.steps.loss[recorded])
    begins = np.flatnonzero(broken & ~np.r_[False, broken[:-1]])
    ends = np.flatnonzero(broken & ~np.r_[broken[1:], False])
    if not len(begins):
        return []
    rows: Rows = [
        {"step": int(step[first]), "end": int(step[last]), "loss": "NaN or infinite"}
        for first, last in list(zip(begins, ends, strict=True))[:_MOST_STRETCHES]
    ]
    tooltip = [alt.Tooltip("step:Q"), alt.Tooltip("end:Q"), alt.Tooltip("loss:N")]
    hue = colour("error")
    area = alt.Chart(data(rows)).mark_rect(color=hue, opacity=0.15, stroke=hue)
    mark = alt.Chart(data(rows[:1])).mark_rule(color=hue, strokeWidth=2)
    return [
        area.encode(x=STEP, x2=alt.X2("end:Q"), tooltip=tooltip),
        mark.encode(x=STEP, tooltip=tooltip),
    ]


def _marks(findings: Sequence[Finding], trace: Trace) -> list[alt.Chart]:
    """A vertical line where each root cause begins."""
    last = int(trace.steps.step[-1]) if len(trace.steps) else 0
    charts = []
    for severity in (Severity.ERROR, Severity.WARNING):
        rows: Rows = [
            {"step": finding.steps[0], "finding": f"{finding.code} {finding.name}"}
            for finding in findings
            if finding.level is severity
            and finding.explained_by is None
            and 0 < finding.steps[0] <= last
        ]
        if rows:
            rule = alt.Chart(data(rows)).mark_rule(color=colour(severity.value), strokeDash=[4, 3])
            charts.append(
                rule.encode(x=STEP, tooltip=[alt.Tooltip("finding:N"), alt.Tooltip("step:Q")])
            )
    return charts


def _evaluations(trace: Trace) -> Rows:
    """The loss values of recorded evaluation batches."""
    return [
        {"step": batch.step, "value": float(batch.loss_value)}
        for batch in trace.batches
        if batch.phase == "eval" and batch.loss_value is not None and np.isfinite(batch.loss_value)
    ]


def _time_chart(trace: Trace) -> Chart:
    steps = trace.steps
    rows: Rows = []
    for name, column in (("step", steps.duration_ns), ("waiting for data", steps.data_wait_ns)):
        milliseconds = column / 1e6
        milliseconds[:1] = np.nan  # the first step counts from the start of the program
        rows += [{**row, "what": name} for row in _rows(steps.step, milliseconds, _TIMES)]
    chart: Chart = alt.Chart(data(rows)).mark_line(strokeWidth=1)
    chart = chart.encode(
        x=STEP,
        y=alt.Y("value:Q", title="ms", scale=alt.Scale(type="symlog")),
        color=hues("what", {"step": "main", "waiting for data": "second"}),
        tooltip=[
            alt.Tooltip("step:Q"),
            alt.Tooltip("what:N"),
            alt.Tooltip("value:Q", format=".3g", title="ms"),
        ],
    )
    return chart.properties(height=170)


def _rows(step: IntArray, values: FloatArray, points: int) -> Rows:
    """At most so many of the finite values, peaks among them, with their steps."""
    kept = min_max(values, points)
    pairs = zip(step[kept], values[kept], strict=True)
    return [{"step": int(s), "value": float(v)} for s, v in pairs]


def _lines(rows: Rows, title: str, hue: str, *, log: bool) -> Chart:
    values = np.array([row["value"] for row in rows])
    even = alt.Y("value:Q", title=None, scale=_scale(False), axis=alt.Axis(format="~g"))
    chart: Chart = alt.Chart(data(rows)).mark_line()
    chart = chart.encode(
        x=STEP,
        y=magnitude("value:Q", values) if log else even,
        color=_hue(rows, hue),
        tooltip=[
            alt.Tooltip("optimizer:N"),
            alt.Tooltip("step:Q"),
            alt.Tooltip("value:Q", format=".4g", title=title),
        ],
    )
    return chart.properties(height=170)


def _spans(values: FloatArray, factor: float) -> bool:
    """Whether all finite values are positive and the largest is more than `factor` × the least."""
    usable = values[np.isfinite(values)]
    return bool(len(usable) and usable.min() > 0 and usable.max() > factor * usable.min())


def _scale(log: bool) -> alt.Scale:
    return alt.Scale(type="log") if log else alt.Scale(zero=False)
