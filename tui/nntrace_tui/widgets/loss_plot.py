"""The loss over the steps, drawn by textual-plot; logarithmic when it spans decades."""

import math
from collections.abc import Callable, Sequence

import numpy as np
from textual_plot import HiResMode, NumericAxisFormatter, PlotWidget

from nntrace_tui.curve import Curve
from nntrace_tui.numbers import short_number

_LOG_SCALE_FROM_RATIO = 20.0
_MOST = 1e300  # the plot subtracts limits and multiplies by cells, which must not overflow
_LINES_AROUND_CURVE = 3
_CURVE = "cyan"
_BEHIND_TREND = "bright_black"


class LossPlot(PlotWidget, can_focus=False):
    """Shows a `Curve`."""

    def __init__(self) -> None:
        super().__init__(allow_pan_and_zoom=False)
        self.border_title = "Loss"
        self._shown: Curve | None = None

    def on_mount(self) -> None:
        """Use the margins for the plot: a plain terminal has 24 lines."""
        super().on_mount()
        self.margin_top, self.margin_bottom, self.margin_left = 0, 1, 9
        self.set_x_formatter(_StepFormatter())

    def show(self, curve: Curve) -> None:
        """Draw the curve, unless it is the one that is shown."""
        if curve == self._shown:
            return
        self._shown = curve
        self.clear()
        bad = curve.first_nonfinite_step
        self.border_title = "Loss" if bad is None else f"Loss · not finite since step {bad:,}"
        if not curve.values:
            return
        logarithmic = _is_logarithmic(curve.values)
        y = np.log10(curve.values) if logarithmic else np.clip(curve.values, -_MOST, _MOST)
        self.set_y_formatter(_LossFormatter(logarithmic, self._most_ticks))
        self.set_xlimits(*_limits(curve.steps[0], curve.steps[-1]))
        self.set_ylimits(*_limits(float(y.min()), float(y.max())))
        if len(y) == 1:
            self.scatter(curve.steps, y, marker="•", marker_style=_CURVE)
            return
        raw = _BEHIND_TREND if curve.trend else _CURVE
        self.plot(curve.steps, y, raw, HiResMode.BRAILLE)
        trend = np.log10(curve.trend) if logarithmic else np.clip(curve.trend, -_MOST, _MOST)
        if curve.trend and not self.app.no_color:
            self.plot(curve.trend_steps, trend, _CURVE, HiResMode.BRAILLE)

    def _most_ticks(self) -> int:
        """Two labels on one line would overwrite each other."""
        return min(6, max(2, self.size.height - _LINES_AROUND_CURVE - 1))


class _LossFormatter(NumericAxisFormatter):
    """Few, short labels that stay distinct at any magnitude; whole decades when logarithmic."""

    def __init__(self, logarithmic: bool, most_ticks: Callable[[], int]) -> None:
        self._logarithmic = logarithmic
        self._most_ticks = most_ticks

    def get_ticks(self, min_: float, max_: float, max_ticks: int = 8) -> list[float]:
        least = (max_ - min_) / self._most_ticks()
        power = 10.0 ** math.floor(math.log10(least))
        interval = next(power * nice for nice in (1, 2, 5, 10) if power * nice >= least * 0.999)
        if self._logarithmic:
            interval = max(1.0, math.ceil(interval))
        first, last = math.ceil(min_ / interval), math.floor(max_ / interval)
        return [interval * multiple for multiple in range(first, last + 1)]

    def get_labels_for_ticks(self, ticks: Sequence[float]) -> list[str]:
        values = [10.0**tick for tick in ticks] if self._logarithmic else list(ticks)
        return [short_number(value) for value in values]


class _StepFormatter(NumericAxisFormatter):
    """Whole steps with thousands separated."""

    def get_labels_for_ticks(self, ticks: Sequence[float]) -> list[str]:
        return [f"{tick:,.0f}" if tick == round(tick) else "" for tick in ticks]


def _is_logarithmic(values: Sequence[float]) -> bool:
    low, high = min(values), max(values)
    return low > 0 and high / low > _LOG_SCALE_FROM_RATIO


def _limits(low: float, high: float) -> tuple[float, float]:
    """A range that is never empty: the plot divides by it, at any magnitude."""
    least = max(abs(low), abs(high), 1e-30) * 1e-6
    if high - low >= least and math.isfinite(high - low):
        return low, high
    return low - least, high + least
