"""The quantities that a heat map can show, and the scale that turns a value into a colour.

A value becomes a level: 0 in the middle of the band, ±0.2 just within its edges, ±0.4 just
outside, ±1 at its worst; NaN if nothing was recorded and infinity if a value was not finite.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np

from nntrace.trace.model import FloatArray

WITHIN: Final = 0.2
OUTSIDE: Final = 0.4


class Metric(StrEnum):
    """What a heat map shows, in the order in which a key goes through them."""

    ACTIVATION_STD = "activation std"
    GRADIENT_RMS = "gradient rms"
    UPDATE_RATIO = "update ratio"
    DEAD = "dead units"
    SATURATED = "saturated"
    NONFINITE = "non-finite"


@dataclass(frozen=True, slots=True)
class Scale:
    """Where a quantity is unremarkable and where it is at its worst, in its own unit.

    A logarithmic scale takes log10 of the values first; its limits are logarithms already.
    """

    low: float
    high: float
    lowest: float
    highest: float
    logarithmic: bool = False

    @property
    def band(self) -> tuple[float, float]:
        """The range of unremarkable values, in the unit of the values."""
        return (10**self.low, 10**self.high) if self.logarithmic else (self.low, self.high)

    def levels(self, values: FloatArray) -> FloatArray:
        """The level of each value; NaN for NaN."""
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


def legend(metric: Metric, scale: Scale) -> str:
    """A line that explains the colours of a metric."""
    low, high = scale.band
    most = f"{100 * high:.3g} %"
    return {
        Metric.ACTIVATION_STD: f"band {low:.3g} to {high:.3g} · std of the output",
        Metric.GRADIENT_RMS: "band median ± 1.5 decades",
        Metric.UPDATE_RATIO: f"band {low:.3g} to {high:.3g} · log10 rms(Δw)/rms(w)",
        Metric.DEAD: f"band up to {most} · zero in every recent sample",
        Metric.SATURATED: f"band up to {most} · at an end of their range",
        Metric.NONFINITE: "band none · values that are NaN or infinite",
    }[metric]


def ends(metric: Metric, scale: Scale) -> tuple[str, str]:
    """The two ends of a scale as text, in the unit of its values."""
    low, high = scale.lowest, scale.highest
    if metric is Metric.UPDATE_RATIO:
        return f"{low:.3g}", f"{high:.3g}"
    if scale.logarithmic:
        return f"{10**low:.2g}", f"{10**high:.2g}"
    return f"{low:.0%}", f"{high:.0%}"
