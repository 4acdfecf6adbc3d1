"""The charts of the training as a whole: loss, learning rate, gradient norm, time of a step."""

from collections.abc import Iterator, Sequence

import altair as alt
import numpy as np
import pyarrow.compute as pc

from nntrace.report.figure import STEP, Chart, Figure, Rows, data, layered, magnitude
from nntrace.report.theme import colour
from nntrace.report.thinning import min_max, smoothed
from nntrace.rules import Finding, Severity
from nntrace.trace import Trace
from nntrace.trace.model import FloatArray

_POINTS = 1200
_SMOOTH_FROM = 60  # steps; a shorter curve is read as it is
_LOG_SPAN = 30.0  # a loss that falls by more than this is shown on a logarithmic scale


def training_figures(trace: Trace, findings: Sequence[Finding]) -> Iterator[Figure]:
    """The figures for which the run holds anything."""
    steps = trace.steps
    if np.isfinite(steps.loss).any():
        yield Figure(
            "loss",
            "Loss",
            loss_chart(trace, findings),
            "Every optimizer step, thinned so that peaks stay; the strong line is smoothed. "
            "Vertical marks are the steps at which findings begin.",
            wide=True,
        )
    if np.isfinite(steps.lr).any():
        chart = _line(_rows(steps.step, steps.lr), "learning rate", "main", log=False)
        yield Figure("learning-rate", "Learning rate", chart, "Of the first parameter group.")
    if np.isfinite(steps.grad_norm).any():
        norm = steps.grad_norm
        chart = _line(_rows(steps.step, norm), "gradient norm", "third", log=_spans(norm, 10.0))
        caption = "Of all parameters, estimated on sampled steps, as the optimizer receives them."
        yield Figure("gradient-norm", "Gradient norm", chart, caption)
    if steps.duration_ns.any():
        yield Figure(
            "step-time", "Time of a step", _time_chart(trace), "And what of it waits for data."
        )


def loss_chart(trace: Trace, findings: Sequence[Finding] = ()) -> Chart:
    """The loss of every step, its smoothed course, evaluations, and where findings begin."""
    steps = trace.steps
    known = np.isfinite(steps.loss)
    step, loss = steps.step[known], steps.loss[known]
    kept = min_max(loss, _POINTS)
    log = _spans(loss, _LOG_SPAN)
    y = alt.Y("loss:Q", title="loss", scale=_scale(log))
    raw: Rows = [
        {"step": int(s), "loss": float(v)} for s, v in zip(step[kept], loss[kept], strict=True)
    ]
    is_long = len(loss) >= _SMOOTH_FROM
    tooltip = [alt.Tooltip("step:Q"), alt.Tooltip("loss:Q", format=".4g")]
    line = alt.Chart(data(raw)).mark_line(
        color=colour("main"), opacity=0.35 if is_long else 1.0, strokeWidth=1 if is_long else 1.6
    )
    layers: list[alt.Chart] = [line.encode(x=STEP, y=y, tooltip=tooltip)]
    if is_long:
        course = smoothed(loss, max(10, len(loss) // 40))[kept]
        rows = [{"step": int(s), "loss": float(v)} for s, v in zip(step[kept], course, strict=True)]
        strong = alt.Chart(data(rows)).mark_line(color=colour("main"), strokeWidth=2)
        layers.append(strong.encode(x=STEP, y=y, tooltip=tooltip))
    if evaluated := _evaluations(trace):
        points = alt.Chart(data(evaluated)).mark_line(point=True, color=colour("second"))
        layers.append(points.encode(x=STEP, y=y, tooltip=tooltip))
    layers += _broken(trace)
    layers += _marks(findings, trace)
    return layered(*layers, height=260)


def _broken(trace: Trace) -> list[alt.Chart]:
    """A mark at the first step whose loss is NaN or infinite."""
    recorded = pc.is_valid(trace.table("steps")["loss"]).to_numpy(zero_copy_only=False)
    broken = trace.steps.step[recorded & ~np.isfinite(trace.steps.loss)]
    if not len(broken):
        return []
    rule = alt.Chart(data([{"step": int(broken[0]), "loss": "NaN or infinite from here on"}]))
    line = rule.mark_rule(color=colour("error"), strokeWidth=2)
    return [line.encode(x=STEP, tooltip=["step:Q", "loss:N"])]


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
            charts.append(rule.encode(x=STEP, tooltip=["finding:N", "step:Q"]))
    return charts


def _evaluations(trace: Trace) -> Rows:
    """The loss values of recorded evaluation batches."""
    return [
        {"step": batch.step, "loss": float(batch.loss_value)}
        for batch in trace.batches
        if batch.phase == "eval" and batch.loss_value is not None and np.isfinite(batch.loss_value)
    ]


def _time_chart(trace: Trace) -> Chart:
    steps = trace.steps
    rows: Rows = []
    for name, column in (("step", steps.duration_ns), ("waiting for data", steps.data_wait_ns)):
        milliseconds = column / 1e6
        milliseconds[:1] = np.nan  # from the start of the program
        for row in _rows(steps.step, milliseconds, points=600):
            rows.append({**row, "what": name})
    chart: Chart = alt.Chart(data(rows)).mark_line(strokeWidth=1)
    chart = chart.encode(
        x=STEP,
        y=alt.Y("value:Q", title="ms", scale=alt.Scale(type="symlog")),
        color=alt.Color(
            "what:N",
            title=None,
            scale=alt.Scale(
                domain=["step", "waiting for data"], range=[colour("main"), colour("second")]
            ),
        ),
        tooltip=["step:Q", "what:N", alt.Tooltip("value:Q", format=".3g", title="ms")],
    )
    return chart.properties(height=170)


def _rows(step: np.ndarray, values: FloatArray, points: int = _POINTS) -> Rows:
    kept = min_max(values, points)
    pairs = zip(step[kept], values[kept], strict=True)
    return [{"step": int(s), "value": float(v)} for s, v in pairs]


def _line(rows: Rows, title: str, hue: str, *, log: bool) -> Chart:
    chart: Chart = alt.Chart(data(rows)).mark_line(color=colour(hue), interpolate="monotone")
    chart = chart.encode(
        x=STEP,
        y=magnitude("value:Q", np.array([row["value"] for row in rows]))
        if log
        else alt.Y("value:Q", title=None, scale=_scale(log), axis=alt.Axis(format="~g")),
        tooltip=["step:Q", alt.Tooltip("value:Q", format=".4g", title=title)],
    )
    return chart.properties(height=170)


def _spans(values: FloatArray, factor: float) -> bool:
    """Whether all finite values are positive and the largest is more than `factor` × the least."""
    usable = values[np.isfinite(values)]
    return (
        bool(len(usable)) and bool(usable.min() > 0) and bool(usable.max() > factor * usable.min())
    )


def _scale(log: bool) -> alt.Scale:
    return alt.Scale(type="log") if log else alt.Scale(zero=False)
