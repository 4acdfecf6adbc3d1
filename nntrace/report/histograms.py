"""The charts of distributions: histograms over time, and how often each label was seen."""

from collections import Counter, defaultdict
from collections.abc import Iterator

import altair as alt
import numpy as np
import pyarrow.compute as pc

from nntrace.report.figure import STEP, Chart, Figure, Rows, data
from nntrace.report.layers import chosen, label
from nntrace.report.theme import SEQUENCE, colour
from nntrace.rules.layers import weights
from nntrace.schema import Role
from nntrace.trace import Site, Trace

_TIMES = 48
_PER_ROLE = 3
_MOST_LABELS = 60


def histogram_figures(trace: Trace) -> Iterator[Figure]:
    """Histograms over time of the first, a middle and the last weight, output and gradient."""
    for role, word in ((Role.PARAM, "weights"), (Role.ACTIVATION, "output")):
        sites = weights(trace) if role is Role.PARAM else trace.sites_of(role)
        for index in chosen(len(sites), _PER_ROLE):
            site = sites[index]
            rows = _over_time(trace, site)
            if rows:
                yield Figure(
                    f"histogram-{role.value}-{index}",
                    f"{label(site)}: {word} over time",
                    _chart(rows),
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
        tooltip=["label:O", "count:Q"],
    ).properties(height=170)
    return Figure("labels", "Labels", chart, f"Counted in the sampled training batches.{more}")


def _over_time(trace: Trace, site: Site) -> Rows:
    """Rows (step, end, bin, share), the bins ordered from −∞ to +∞."""
    table = trace.table("histograms")
    table = table.filter(pc.equal(table["site"], site.id))
    times = chosen(table.num_rows, _TIMES)
    if len(times) < 2:
        return []
    records = table.take(times).to_pylist()
    rows: Rows = []
    for number, record in enumerate(records):
        last = number + 1 == len(records)
        end = record["step"] + (record["step"] - records[number - 1]["step"] if last else 0)
        end = end if last else records[number + 1]["step"]
        bins: dict[float, int] = defaultdict(int)
        for edge, count in zip(record["edges"] or (), record["counts"] or (), strict=False):
            if edge is not None and count:
                bins[_place(edge)] += count
        total = sum(bins.values())
        rows += [
            {"step": record["step"], "end": end, "y": place, "share": count / total}
            for place, count in bins.items()
        ]
    return rows


_SMALLEST_POWER = -24  # smaller magnitudes count as zero on the page
_LARGEST_POWER = 24


def _place(edge: float) -> float:
    """Where a bin lies on the vertical axis: 0 is zero, ±1 the smallest power of two, and so on."""
    if edge == 0 or np.isnan(edge):
        return 0.0
    power = float(np.clip(np.log2(abs(edge)), _SMALLEST_POWER, _LARGEST_POWER))
    return float(np.sign(edge)) * (power - _SMALLEST_POWER + 1)


def _chart(rows: Rows) -> Chart:
    used = [row["y"] for row in rows]
    low, high = min(used), max(used)
    # An axis of powers of two on both sides of zero, labelled by an expression of Vega's own.
    power = f"abs(datum.value) - 1 + {_SMALLEST_POWER}"
    text = f"datum.value == 0 ? '0' : (datum.value < 0 ? '−' : '') + format(pow(2, {power}), '.1e')"
    for row in rows:
        row["y0"], row["y1"] = row["y"] - 0.5, row["y"] + 0.5
    chart: Chart = alt.Chart(data(rows)).mark_rect()
    chart = chart.encode(
        x=STEP,
        x2="end:Q",
        y=alt.Y(
            "y0:Q",
            title=None,
            scale=alt.Scale(domain=[low - 0.5, high + 0.5], nice=False),
            axis=alt.Axis(labelExpr=text, tickCount=7, grid=False),
        ),
        y2="y1:Q",
        color=alt.Color("share:Q", title=None, scale=alt.Scale(scheme=SEQUENCE), legend=None),
        tooltip=["step:Q", alt.Tooltip("share:Q", format=".1%")],
    )
    return chart.properties(height=180)
