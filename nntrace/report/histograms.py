"""The charts of distributions: histograms over time, and how often each label was seen."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Self

import altair as alt
import numpy as np
import pyarrow.compute as pc

from nntrace.report.figure import STEP, Chart, Figure, Rows, data
from nntrace.report.layers import chosen, label
from nntrace.report.theme import SEQUENCE, colour
from nntrace.rules.common.layers import weights
from nntrace.schema import Role
from nntrace.trace import Site, Trace

_TIMES: Final = 48
_PER_ROLE: Final = 3
_MOST_LABELS: Final = 60
_POWERS: Final = 12


def histogram_figures(trace: Trace) -> Iterator[Figure]:
    """Histograms over time of the first, a middle and the last weight, output and gradient."""
    for role, word in ((Role.PARAM, "weights"), (Role.ACTIVATION, "output")):
        sites = weights(trace) if role is Role.PARAM else trace.sites_of(role)
        for index in chosen(len(sites), _PER_ROLE):
            site = sites[index]
            chart = _over_time(trace, site)
            if chart is not None:
                yield Figure(
                    f"histogram-{role.value}-{index}",
                    f"{label(site)}: {word} over time",
                    chart,
                    "Share of the sampled elements by sign and power of two.",
                )


def label_figure(trace: Trace) -> Figure | None:
    """How often each class label was seen in the sampled training batches."""
    counts: Counter[int] = Counter()
    for batch in trace.batches:
        if batch.phase == "train":
            counts.update(dict(zip(batch.label_values, batch.label_counts, strict=False)))
    if not counts:
        return None
    rows: Rows = [
        {"label": value, "count": counts[value]}
        for value in sorted(value for value, _ in counts.most_common(_MOST_LABELS))
    ]
    more = f" The {_MOST_LABELS} most frequent of {len(counts)}." if len(counts) > len(rows) else ""
    bars = alt.Chart(data(rows)).mark_bar(color=colour("main"))
    chart = bars.encode(
        x=alt.X("label:O", title="label", axis=alt.Axis(labelAngle=0, labelOverlap=True)),
        y=alt.Y("count:Q", title="examples"),
        tooltip=[alt.Tooltip("label:O"), alt.Tooltip("count:Q")],
    ).properties(height=170)
    return Figure("labels", "Labels", chart, f"Counted in the sampled training batches.{more}")


@dataclass(frozen=True, slots=True)
class _Powers:
    """The vertical axis: powers of two on both sides of zero, the smallest next to it."""

    smallest: float

    @classmethod
    def of(cls, edges: Iterable[float]) -> Self:
        """The axis for these bins; a bin 2^12 times smaller than the largest counts as zero."""
        sizes = [abs(edge) for edge in edges if edge and np.isfinite(edge)]
        return cls(round(math.log2(max(sizes, default=1.0))) - _POWERS)

    def place(self, edge: float) -> float:
        """The position of a bin: 0 is zero, ±1 the smallest power, and so on; ±inf is outermost."""
        if edge == 0 or math.isnan(edge):
            return 0.0
        power = math.log2(abs(edge)) if math.isfinite(edge) else math.inf
        height = min(power - self.smallest + 1, _POWERS + 2)
        return math.copysign(height, edge) if height >= 1 else 0.0

    @property
    def label(self) -> str:
        """The Vega expression that labels the axis."""
        power = f"abs(datum.value) - 1 + {self.smallest:.0f}"
        sign = "(datum.value < 0 ? '−' : '')"
        return f"datum.value == 0 ? '0' : {sign} + format(pow(2, {power}), '.1e')"


def _over_time(trace: Trace, site: Site) -> Chart | None:
    """A site's histograms as columns of a heatmap; None for fewer than two."""
    table = trace.table("histograms")
    table = table.filter(pc.equal(table["site"], site.id))
    times = chosen(table.num_rows, _TIMES)
    if len(times) < 2:
        return None
    records = table.take(times).to_pylist()
    powers = _Powers.of(edge for record in records for edge in record["edges"] or ())
    ends = [record["step"] for record in records[1:]]
    ends.append(2 * ends[-1] - records[-2]["step"])
    rows: Rows = []
    for record, end in zip(records, ends, strict=True):
        bins: Counter[float] = Counter()
        for edge, count in zip(record["edges"] or (), record["counts"] or (), strict=False):
            if edge is not None and count:
                bins[powers.place(edge)] += count
        total = sum(bins.values())
        rows += [
            {
                "step": record["step"],
                "end": end,
                "y0": place - 0.5,
                "y1": place + 0.5,
                "share": count / total,
            }
            for place, count in bins.items()
        ]
    return _chart(rows, powers) if rows else None


def _chart(rows: Rows, powers: _Powers) -> Chart:
    domain = [min(row["y0"] for row in rows), max(row["y1"] for row in rows)]
    chart: Chart = alt.Chart(data(rows)).mark_rect()
    chart = chart.encode(
        x=STEP,
        x2=alt.X2("end:Q"),
        y=alt.Y(
            "y0:Q",
            title=None,
            scale=alt.Scale(domain=domain, nice=False),
            axis=alt.Axis(labelExpr=powers.label, tickCount=7, grid=False),
        ),
        y2=alt.Y2("y1:Q"),
        color=alt.Color(
            "share:Q",
            title="share",
            scale=alt.Scale(scheme=SEQUENCE),
            legend=alt.Legend(gradientLength=100, gradientThickness=8, format="~p"),
        ),
        tooltip=[alt.Tooltip("step:Q"), alt.Tooltip("share:Q", format=".1%")],
    )
    return chart.properties(height=180)
