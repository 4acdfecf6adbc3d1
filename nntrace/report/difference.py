"""The page of a comparison of two runs.

It shows settings, the first divergence and those after it, both losses in one chart, and how far
each site diverges over time.
"""

import math
from collections.abc import Iterator

import altair as alt
import numpy as np

from nntrace.diff import Comparison
from nntrace.diff.text import sentence
from nntrace.report.document import render_document
from nntrace.report.figure import STEP, Chart, Figure, Rows, data, hues, layered
from nntrace.report.theme import SEQUENCE, colour
from nntrace.report.thinning import min_max
from nntrace.text import printable

_POINTS = 800
_PLACES = 40
_ROW_HEIGHT = 14
_TRAIL = 40


def render_difference(comparison: Comparison) -> str:
    """The HTML page of a comparison."""
    figures = list(difference_figures(comparison))
    divergences = comparison.divergences[:_TRAIL]
    guessed = [pair for pair in comparison.alignment.pairs if not pair.by_path]
    return render_document(
        "diff.html",
        figures,
        comparison=comparison,
        figures=figures,
        trail=[sentence(divergence) for divergence in divergences],
        guessed=guessed,
    )


def difference_figures(comparison: Comparison) -> Iterator[Figure]:
    """The figures of a comparison: both losses; which places differ, when and by how much."""
    rows: Rows = []
    for name, trace in (("A", comparison.a), ("B", comparison.b)):
        loss = trace.steps.loss
        for index in min_max(loss, _POINTS):
            step = int(trace.steps.step[index])
            rows.append({"step": step, "loss": float(loss[index]), "run": name})
    if rows:
        yield Figure("loss", "Loss", _losses(rows, comparison), wide=True)
    if any(np.isfinite(d.difference) and d.difference > 0 for d in comparison.divergences):
        yield Figure(
            "divergence",
            "Where and how far the runs differ",
            _divergences(comparison),
            "Difference relative to the size of the site, shown where it exceeds the tolerance. "
            f"The first {_PLACES} places, from the top in the order in which they begin to "
            "differ.",
            wide=True,
        )


def _losses(rows: Rows, comparison: Comparison) -> Chart:
    chart: Chart = alt.Chart(data(rows)).mark_line(opacity=0.8)
    chart = chart.encode(
        x=STEP,
        y=alt.Y("loss:Q", scale=alt.Scale(zero=False)),
        color=hues("run", {"A": "main", "B": "second"}),
        tooltip=[alt.Tooltip("run:N"), alt.Tooltip("step:Q"), alt.Tooltip("loss:Q", format=".6g")],
    )
    first = comparison.first
    if first is None:
        return chart.properties(height=240)
    mark = alt.Chart(data([{"step": first.step, "first": "first divergence"}]))
    line = mark.mark_rule(color=colour("error"), strokeDash=[4, 3])
    return layered(
        chart,
        line.encode(x=STEP, tooltip=[alt.Tooltip("first:N"), alt.Tooltip("step:Q")]),
        height=240,
    )


def _divergences(comparison: Comparison) -> Chart:
    rows: Rows = [
        {
            "step": divergence.step,
            "place": printable(f"{divergence.place or '(root)'} {divergence.role}", 70),
            "difference": divergence.difference,
        }
        for divergence in comparison.divergences
        if np.isfinite(divergence.difference) and divergence.difference > 0
    ]
    places = list(dict.fromkeys(row["place"] for row in rows))[:_PLACES]
    kept = [
        {**row, "size": math.log10(row["difference"])} for row in rows if row["place"] in places
    ]
    chart: Chart = alt.Chart(data(kept)).mark_square(size=60, opacity=1)
    chart = chart.encode(
        x=STEP,
        y=alt.Y("place:N", title=None, sort=places, axis=alt.Axis(labelLimit=260)),
        color=alt.Color(
            "size:Q",
            title="log₁₀",
            scale=alt.Scale(scheme=SEQUENCE),
            legend=alt.Legend(orient="top", gradientLength=100),
        ),
        tooltip=[
            alt.Tooltip("place:N"),
            alt.Tooltip("step:Q"),
            alt.Tooltip("difference:Q", format=".3g"),
        ],
    )
    return chart.properties(height=_ROW_HEIGHT * len(places))
