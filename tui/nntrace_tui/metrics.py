"""The quantities a heat map can show, each with the band in which it is unremarkable.

A value becomes a level: 0 in the middle of the band, ±0.2 just within its edges, ±0.4 just
outside, ±1 where it is as wrong as can be; NaN where nothing was recorded and infinity where a
value was not finite.
"""

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np

from nntrace.trace.model import FloatArray

WITHIN: Final = 0.2
OUTSIDE: Final = 0.4


class Metric(StrEnum):
    """What a heat map shows; the order is that of the key that goes through them."""

    ACTIVATION_STD = "activation std"
    GRADIENT_RMS = "gradient rms"
    UPDATE_RATIO = "update ratio"
    DEAD = "dead units"
    SATURATED = "saturated"
    NONFINITE = "non-finite"

    @property
    def following(self) -> "Metric":
        """The next one, the first after the last."""
        order = tuple(Metric)
        return order[(order.index(self) + 1) % len(order)]


@dataclass(frozen=True, slots=True)
class Scale:
    """Where a quantity is unremarkable and where it is as wrong as can be, in its own unit.

    A logarithmic scale takes log10 of the values first; its limits are logarithms already.
    """

    low: float
    high: float
    lowest: float
    highest: float
    logarithmic: bool = False

    def levels(self, values: FloatArray) -> FloatArray:
        """The level of each value, NaN for NaN."""
        if self.logarithmic:
            with np.errstate(divide="ignore", invalid="ignore"):
                values = np.log10(values)
        if self.lowest == self.low:  # one-sided: there is no too little
            inside = np.interp(values, [self.low, self.high], [0.0, WITHIN])
        else:
            inside = np.interp(values, [self.low, self.high], [-WITHIN, WITHIN])
        above = np.interp(values, [self.high, self.highest], [OUTSIDE, 1.0])
        below = np.interp(values, [self.lowest, self.low], [-1.0, -OUTSIDE])
        known = np.where(values > self.high, above, np.where(values < self.low, below, inside))
        return np.where(np.isnan(values), np.nan, known)


# ACT01's band; UPD01's and UPD02's around 1e-3; ACT04's and ACT05's warnings.
_STD: Final = Scale(math.log10(0.5), math.log10(2), math.log10(0.02), math.log10(50), True)
LOG_RATIO: Final = Scale(-4.0, -2.0, -6.0, -1.0)
_DEAD: Final = Scale(0.0, 0.2, 0.0, 1.0)
_SATURATED: Final = Scale(0.0, 0.5, 0.0, 1.0)
_NONFINITE: Final = Scale(0.0, 1e-9, 0.0, 1e-6)
_GRADIENT_BAND_DECADES: Final = 1.5
_GRADIENT_DECADES: Final = 5.0

STD_BAND: Final = (0.5, 2.0)
LOG_RATIO_BAND: Final = (LOG_RATIO.low, LOG_RATIO.high)
DEAD_WARNING: Final = _DEAD.high
SATURATED_WARNING: Final = _SATURATED.high


def scale_of(metric: Metric, values: FloatArray) -> Scale:
    """The scale for these values; gradients have no absolute band, theirs is around the median."""
    if metric is Metric.GRADIENT_RMS:
        known = values[(values > 0) & np.isfinite(values)]
        middle = float(np.log10(np.median(known))) if known.size else -3.0
        return Scale(
            middle - _GRADIENT_BAND_DECADES,
            middle + _GRADIENT_BAND_DECADES,
            middle - _GRADIENT_DECADES,
            middle + _GRADIENT_DECADES,
            True,
        )
    return {
        Metric.ACTIVATION_STD: _STD,
        Metric.UPDATE_RATIO: LOG_RATIO,
        Metric.DEAD: _DEAD,
        Metric.SATURATED: _SATURATED,
        Metric.NONFINITE: _NONFINITE,
    }[metric]


def legend(metric: Metric) -> str:
    """One line that says what the colours mean."""
    return {
        Metric.ACTIVATION_STD: "standard deviation of the output; band 0.5 to 2",
        Metric.GRADIENT_RMS: "gradient of the parameters; band: the model's median ±1.5 decades",
        Metric.UPDATE_RATIO: "log10 rms(Δw)/rms(w); about -3 is usual, band -4 to -2",
        Metric.DEAD: "share of units that were zero in every recent sample; up to 20 %",
        Metric.SATURATED: "share of outputs at an end of their range; up to 50 %",
        Metric.NONFINITE: "share of values that are NaN or infinite; none",
    }[metric]


def ends(scale: Scale) -> tuple[str, str]:
    """The two ends of a scale in the unit of its values."""
    low, high = scale.lowest, scale.highest
    if scale is LOG_RATIO:
        return f"{low:.0f}", f"{high:.0f}"
    if scale.logarithmic:
        return f"{10**low:.2g}", f"{10**high:.2g}"
    return f"{low:.0%}", f"{high:.0%}"
