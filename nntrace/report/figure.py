"""`Figure`: one chart of the report, with its title and caption."""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import altair as alt
import numpy as np

from nntrace.report.theme import colour, config
from nntrace.trace.model import FloatArray

_FEWEST_TICKS = 2  # labelled ticks; an axis with fewer cannot be read
Rows = list[dict[str, Any]]
Chart = alt.Chart | alt.LayerChart


@dataclass(frozen=True, slots=True)
class Figure:
    """A chart with its title and caption.

    Attributes:
        name: the name that `--chart` takes, unique within a report.
        title: the heading over it.
        chart: the Altair chart, without width, theme or title.
        caption: one sentence on how to read it.
        wide: whether it takes the whole width of the page.
    """

    name: str
    title: str
    chart: Chart
    caption: str = ""
    wide: bool = False


def data(rows: Iterable[Mapping[str, Any]]) -> alt.InlineData:
    """Rows as a chart's data, with floats rounded to five significant digits, enough for a pixel.

    The data is one JSON text, because Altair's checks of the single rows would take longer than
    everything else.
    """
    short = [{key: _short(value) for key, value in row.items()} for row in rows]
    return alt.InlineData(values=json.dumps(short))


def specification(figure: Figure, *, width: int | str) -> dict[str, Any]:
    """The Vega-Lite specification of a figure, with colours as CSS variables."""
    spec = figure.chart.to_dict(validate=False)  # left to the tests: it takes longer than the rest
    rows = {name: json.loads(text) for name, text in spec.pop("datasets", {}).items()}
    words = {"config": config(), "description": figure.title}
    return {**spec, "datasets": rows, "width": width, **words}


def _short(value: Any) -> Any:
    return float(f"{value:.5g}") if isinstance(value, float) else value


STEP = alt.X(
    "step:Q",
    title="step",
    axis=alt.Axis(grid=False, tickMinStep=1, format="~s"),
    scale=alt.Scale(nice=False),
)


def magnitude(field: str, values: FloatArray) -> alt.Y:
    """A logarithmic vertical axis for `values`, without a title.

    It is labelled at powers of ten, and between them where these are too few.
    """
    usable = values[np.isfinite(values) & (values > 0)]
    low, high = (usable.min(), usable.max()) if len(usable) else (1.0, 1.0)
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    scale = alt.Scale(type="log", nice=False)
    step = max(1, math.ceil((last - first) / 8))
    powers = [10.0**power for power in range(first, last + 1, step)]
    axis = alt.Axis(format=".0e", values=powers)
    if sum(low <= power <= high for power in powers) < _FEWEST_TICKS:
        ticks = [m * 10.0**power for power in range(first, last + 1) for m in (1, 2, 5)]
        inside = [tick for tick in ticks if low <= tick <= high]
        axis = alt.Axis(format="~g", values=inside)
        if len(inside) < _FEWEST_TICKS:
            axis = alt.Axis(format=".3~g", tickCount=4)
    return alt.Y(field, title=None, scale=scale, axis=axis)


def hues(field: str, named: Mapping[str, str]) -> alt.Color:
    """The colour of a line by the text in `field`: each text with the name of its colour."""
    scale = alt.Scale(domain=list(named), range=[colour(name) for name in named.values()])
    return alt.Color(f"{field}:N", title=None, scale=scale)


def layered(*layers: Chart, height: int) -> Chart:
    """One chart of several layers, the first at the bottom."""
    return alt.LayerChart(layer=list(layers), height=height)
