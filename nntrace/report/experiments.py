"""The charts of a check: the loss over the learning rate, and over the steps of each experiment.

They compare runs, and appear only on the page of a check's baseline, or of the sweep itself.
"""

from collections.abc import Iterator
from typing import Final

import altair as alt
import numpy as np

from nntrace.experiment import BASELINE
from nntrace.report.figure import STEP, Chart, Figure, Rows, data, hues, layered
from nntrace.report.theme import colour
from nntrace.report.thinning import min_max, smoothed
from nntrace.rules import Finding
from nntrace.rules.probes import Sweep, sweep
from nntrace.trace import Trace

_POINTS: Final = 400
_HEADROOM: Final = 1.05  # times the first losses; diverged losses are drawn at this upper edge
_COMPARED: Final = {
    BASELINE: ("the script as it is", "main"),
    "overfit": ("one batch", "band"),
    "overfit-other-rate": ("one batch, another rate", "info"),
    "blind": ("inputs zeroed", "second"),
    "shuffled": ("targets shuffled", "third"),
    "unregularised": ("no regularisation", "error"),
}
_OF_PROBE: Final = {
    "PRB01": ("overfit", "overfit-other-rate"),
    "PRB02": (BASELINE, "blind"),
    "PRB06": (BASELINE, "shuffled"),
    "PRB09": (BASELINE, "unregularised"),
}


def experiment_figures(trace: Trace) -> Iterator[Figure]:
    """The figures of a check: the learning-rate sweep and the losses of all experiments."""
    if (chart := rate_chart(trace)) is not None:
        yield Figure("learning-rate-sweep", "Loss over the learning rate", chart, RATE_CAPTION)
    names = [name for name in _COMPARED if name == BASELINE or trace.under(name) is not None]
    if len(names) > 1 and (losses := _losses(trace, names)) is not None:
        caption = "The same script with one thing changed in each; smoothed."
        yield Figure("experiments", "Loss of each experiment", losses, caption)


RATE_CAPTION: Final = (
    "Smoothed. Shaded: where the loss falls. The dashed line is the script's own rate."
)


def probe_drawing(trace: Trace, finding: Finding) -> tuple[Chart | None, str]:
    """The chart beside a probe's finding, if there is one, and its caption."""
    if finding.code == "PRB07":
        return rate_chart(trace), RATE_CAPTION
    names = [n for n in _OF_PROBE.get(finding.code, ()) if _run(trace, n) is not None]
    return (_losses(trace, names), "loss; smoothed") if names else (None, "")


def rate_chart(trace: Trace) -> Chart | None:
    """The chart of a learning-rate sweep; None where there was no sweep."""
    own = trace.experiment is not None and trace.experiment.sweep
    run = trace if own else trace.under("sweep")
    found = None if run is None else sweep(run)
    return None if found is None else _curve(found)


def _curve(found: Sweep) -> Chart:
    first = found.losses[: max(1, len(found.losses) // 6)]
    low, high = float(found.losses.min()), float(np.median(first)) * _HEADROOM
    high = max(high, low + 1e-12)
    rows: Rows = [
        {"rate": float(found.rates[at]), "loss": min(float(found.losses[at]), high)}
        for at in min_max(found.losses, _POINTS)
    ]
    rate = alt.X(
        "rate:Q",
        title="learning rate",
        scale=alt.Scale(type="log", nice=False),
        axis=alt.Axis(format=".0e", grid=False, tickCount=8),
    )
    line = alt.Chart(data(rows)).mark_line(color=colour("main"), strokeWidth=2)
    tooltip = [alt.Tooltip("rate:Q", format=".2e"), alt.Tooltip("loss:Q", format=".4g")]
    y = alt.Y("loss:Q", title="loss", scale=alt.Scale(zero=False))
    layers: list[Chart] = [line.encode(x=rate, y=y, tooltip=tooltip)]
    if found.low is not None and found.high is not None:
        area = alt.Chart(data([{"rate": found.low, "end": found.high}]))
        shade = area.mark_rect(color=colour("band"), opacity=0.14)
        layers.insert(0, shade.encode(x=rate, x2="end:Q"))
    if found.own is not None:
        mark = alt.Chart(data([{"rate": found.own}]))
        dashed = mark.mark_rule(color=colour("second"), strokeDash=[4, 3], strokeWidth=2)
        layers.append(dashed.encode(x=rate, tooltip=[alt.Tooltip("rate:Q", format=".2e")]))
    return layered(*layers, height=170)


def _run(trace: Trace, name: str) -> Trace | None:
    return trace if name == BASELINE else trace.under(name)


def _losses(trace: Trace, names: list[str]) -> Chart | None:
    rows: Rows = []
    shown: list[str] = []
    for name in names:
        run = _run(trace, name)
        if run is None:
            continue
        finite = np.isfinite(run.steps.loss)
        losses = run.steps.loss[finite]
        smooth = smoothed(losses, max(3, len(losses) // 20))
        title, _ = _COMPARED[name]
        if len(losses):
            shown.append(name)
        for at in min_max(smooth, _POINTS):
            step = int(run.steps.step[finite][at])
            rows.append({"step": step, "loss": float(smooth[at]), "experiment": title})
    if not rows:
        return None
    chart = alt.Chart(data(rows)).mark_line(strokeWidth=2)
    lines: Chart = chart.encode(
        x=STEP,
        y=alt.Y("loss:Q", title="loss", scale=alt.Scale(zero=False)),
        color=hues("experiment", dict(_COMPARED[name] for name in shown)),
        tooltip=["experiment:N", "step:Q", alt.Tooltip("loss:Q", format=".4g")],
    )
    return lines.properties(height=170)
