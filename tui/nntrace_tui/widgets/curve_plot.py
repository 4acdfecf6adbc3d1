"""A value over the steps, drawn by textual-plot, on a logarithmic scale if it spans decades."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from rich.text import Text
from textual_plot import HiResMode, NumericAxisFormatter, PlotWidget

from nntrace_tui.numbers import short_number
from nntrace_tui.pages.curve import Curve
from nntrace_tui.themes import palette

_LOG_SCALE_FROM_RATIO = 20.0
_MOST = 1e300  # the plot subtracts limits and multiplies them by cells: this must not overflow
_LINES_AROUND_CURVE = 3
_FEW_DECADES = 2.5
_MARGIN = 0.03  # of the plot's height, added beyond the ends of a band


@dataclass(frozen=True, slots=True)
class Plotted:
    """What a plot shows.

    Attributes:
        title: the text above the plot.
        curve: the value over the steps.
        points: other values of the same kind, drawn as dots.
        band: the ends of the range in which the value is unremarkable, in the value's own unit.
        logarithmic: whether the scale is logarithmic; None chooses by the values.
    """

    title: str
    curve: Curve
    points: Curve = Curve()  # noqa: RUF009  frozen
    band: tuple[float, float] | None = None
    logarithmic: bool | None = None


class CurvePlot(PlotWidget, can_focus=False):
    """A plot of a `Plotted`."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002  as Textual calls it
        super().__init__(id=id, allow_pan_and_zoom=False)
        self._shown: tuple[Plotted, str] | None = None

    def on_mount(self) -> None:
        """Shrink the margins to give the plot more room: a plain terminal has 24 lines."""
        super().on_mount()
        self.margin_top, self.margin_bottom, self.margin_left = 0, 1, 9
        self.set_x_formatter(_StepFormatter())

    def show(self, plotted: Plotted) -> None:
        """Draw `plotted`, unless it is already shown in the same theme."""
        if (plotted, self.app.theme) == self._shown:
            return
        self._shown = (plotted, self.app.theme)
        self.clear()
        curve = plotted.curve
        logarithmic = plotted.logarithmic
        if logarithmic is None:
            logarithmic = _spans_decades(curve.values)
        logarithmic = logarithmic and min(curve.values, default=0.0) > 0
        self.border_title = _title(plotted, logarithmic)
        if not curve.values:
            self.set_x_formatter(_NoLabels())
            self.set_y_formatter(_NoLabels())
            return
        self.set_x_formatter(_StepFormatter())
        colours = palette(self.app)
        y = _on_scale(curve.values, logarithmic)
        limits = [float(y.min()), float(y.max())]
        edges = [edge for edge in plotted.band or () if edge > 0 or not logarithmic]
        band = [float(at) for at in _on_scale(edges, logarithmic)]
        if band:
            margin = _MARGIN * (max(*limits, *band) - min(*limits, *band))
            limits = [min(limits[0], *band) - margin, max(limits[1], *band) + margin]
        points = [value for value in plotted.points.values if value > 0 or not logarithmic]
        if points:
            dots = _on_scale(points, logarithmic)
            limits = [min(limits[0], float(dots.min())), max(limits[1], float(dots.max()))]
        self.set_y_formatter(_ValueFormatter(logarithmic, self._most_ticks))
        ends = [curve.steps[0], max(curve.steps[-1], curve.last_step or 0.0)]
        self.set_xlimits(*_limits(*ends))
        self.set_ylimits(*_limits(*limits))
        for at in band:
            self.plot(ends, [at, at], colours.good, HiResMode.BRAILLE)
        if (broken := curve.first_nonfinite_step) is not None:
            self.plot([broken, broken], limits, colours.error, HiResMode.BRAILLE)
        if len(y) == 1:
            self.scatter(curve.steps, y, marker="•", marker_style=colours.curve)
            return
        raw = colours.dim if curve.trend else colours.curve
        self.plot(curve.steps, y, raw, HiResMode.BRAILLE)
        if curve.trend and not self.app.no_color:
            trend = _on_scale(curve.trend, logarithmic)
            self.plot(curve.trend_steps, trend, colours.curve, HiResMode.BRAILLE)
        if points and len(points) == len(plotted.points.steps):
            dots = _on_scale(points, logarithmic)
            style = colours.second_curve
            self.scatter(plotted.points.steps, dots, marker="●", marker_style=style)

    def _most_ticks(self) -> int:
        """Return how many labels fit on the axis: two on one line would overwrite each other."""
        return min(6, max(2, self.size.height - _LINES_AROUND_CURVE - 1))


class _ValueFormatter(NumericAxisFormatter):
    """Few, short labels that stay distinct at any magnitude; whole decades on a log scale."""

    def __init__(self, logarithmic: bool, most_ticks: Callable[[], int]) -> None:
        self._logarithmic = logarithmic
        self._most_ticks = most_ticks

    def get_ticks(self, min_: float, max_: float, max_ticks: int = 8) -> list[float]:
        if self._logarithmic and max_ - min_ < _FEW_DECADES:
            return _ticks_within_decades(min_, max_, self._most_ticks())
        least = (max_ - min_) / self._most_ticks()
        power = 10.0 ** math.floor(math.log10(least))
        interval = next(power * nice for nice in (1, 2, 5, 10) if power * nice >= least * 0.999)
        if self._logarithmic:
            interval = max(1.0, math.ceil(interval))
        first, last = math.ceil(min_ / interval), math.floor(max_ / interval)
        return [interval * multiple for multiple in range(first, last + 1)]

    def get_labels_for_ticks(self, ticks: Sequence[float]) -> list[str]:
        values = [10.0**tick for tick in ticks] if self._logarithmic else list(ticks)
        labels = [short_number(value) for value in values]
        if len(set(labels)) == 1:  # a constant needs one label, whatever the limits
            return [label if n == len(labels) // 2 else "" for n, label in enumerate(labels)]
        return labels


def _ticks_within_decades(low: float, high: float, most: int) -> list[float]:
    """Return round values within a few decades, as many as there is room for."""
    ticks: list[float] = []
    for factors in ((1.0,), (1.0, 3.0), (1.0, 2.0, 5.0), tuple(range(1, 10))):
        powers = range(math.floor(low), math.ceil(high) + 1)
        finer = sorted(power + math.log10(factor) for power in powers for factor in factors)
        finer = [tick for tick in finer if low <= tick <= high]
        if len(finer) > most and ticks:
            break
        ticks = finer
    return ticks[:: max(1, math.ceil(len(ticks) / most))]


class _NoLabels(NumericAxisFormatter):
    """Leaves an axis without labels: a plot of nothing has no scale."""

    def get_ticks(self, min_: float, max_: float, max_ticks: int = 8) -> list[float]:
        return []

    def get_labels_for_ticks(self, ticks: Sequence[float]) -> list[str]:
        return []


class _StepFormatter(NumericAxisFormatter):
    """Labels whole steps, with thousands separators."""

    def get_labels_for_ticks(self, ticks: Sequence[float]) -> list[str]:
        return [f"{tick:,.0f}" if tick == round(tick) else "" for tick in ticks]


def _title(plotted: Plotted, logarithmic: bool) -> Text:
    title = Text(plotted.title)
    if not plotted.curve.values:
        title.append(" · no finite value")
    if logarithmic:
        title.append(" · log scale")
    if plotted.points.values:
        title.append(" · ● evaluation")
    if plotted.curve.first_nonfinite_step is not None:
        title.append(f" · first not finite at step {plotted.curve.first_nonfinite_step:,}")
    return title


def _on_scale(
    values: Sequence[float], logarithmic: bool
) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    array = np.array(values, dtype=np.float64)
    return np.log10(array) if logarithmic else np.clip(array, -_MOST, _MOST)


def _spans_decades(values: Sequence[float]) -> bool:
    low, high = min(values, default=0.0), max(values, default=0.0)
    return low > 0 and high / low > _LOG_SCALE_FROM_RATIO


def _limits(low: float, high: float) -> tuple[float, float]:
    """Widen the range where it is almost empty: the plot divides by its size, at any magnitude."""
    least = max(abs(low), abs(high), 1e-30) * 1e-6
    if high - low >= least and math.isfinite(high - low):
        return low, high
    return low - least, high + least
