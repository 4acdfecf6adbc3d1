"""The bands in which values are unremarkable, from the thresholds of the rules that judge them.

A value to which a rule would object is never within a band, and is drawn in full colour. If the
user has set a threshold, the band moves with it.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np

from nntrace.rules import Rule
from nntrace.rules.activations.levels import activation_std_out_of_band
from nntrace.rules.activations.units import dead_units, saturated_units
from nntrace.rules.updates.ratio import update_ratio_high, update_ratio_low
from nntrace.trace.model import FloatArray
from nntrace_tui.metrics import Metric, Scale

# ACT01: of a standard deviation "half to two is ideal", which is 25 times from where it objects;
# UPD02 objects a decade below the band around 1e-3.
_USUAL_STD: Final = (0.5, 2.0)
_STD_FACTOR: Final = 25.0
_USUAL_RATIO: Final = 1e-4
_RATIO_FACTOR: Final = 10.0
_NONFINITE: Final = Scale(0.0, 1e-9, 0.0, 1e-6)
_GRADIENT_BAND_DECADES: Final = 1.5
_GRADIENT_DECADES: Final = 5.0

Thresholds = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Bands:
    """The scale of each quantity; update ratios are given as log10."""

    std: Scale
    log_ratio: Scale
    dead: Scale
    saturated: Scale

    def scale(self, metric: Metric, values: FloatArray) -> Scale:
        """The scale of a metric; for gradients it is relative, around the median of the values."""
        match metric:
            case Metric.ACTIVATION_STD:
                return self.std
            case Metric.UPDATE_RATIO:
                return self.log_ratio
            case Metric.DEAD:
                return self.dead
            case Metric.SATURATED:
                return self.saturated
            case Metric.NONFINITE:
                return _NONFINITE
            case Metric.GRADIENT_RMS:
                known = values[(values > 0) & np.isfinite(values)]
                middle = float(np.log10(np.median(known))) if known.size else -3.0
                return Scale(
                    middle - _GRADIENT_BAND_DECADES,
                    middle + _GRADIENT_BAND_DECADES,
                    middle - _GRADIENT_DECADES,
                    middle + _GRADIENT_DECADES,
                    logarithmic=True,
                )


def bands(thresholds: Thresholds) -> Bands:
    """The bands under these thresholds, by rule code; the rules' defaults where none is given."""
    std, high, low, dead, saturated = (
        _limits(rule, thresholds)
        for rule in (
            activation_std_out_of_band,
            update_ratio_high,
            update_ratio_low,
            dead_units,
            saturated_units,
        )
    )
    std_band = (
        _below(_USUAL_STD[0], std["low"], _STD_FACTOR),
        1 / _below(1 / _USUAL_STD[1], 1 / max(std["high"], 1e-30), _STD_FACTOR),
    )
    ratio_band = (_below(_USUAL_RATIO, low["ratio"], _RATIO_FACTOR), high["warning"])
    return Bands(
        std=_logarithmic(std_band, (std["low"], std["high"]), of_logarithms=False),
        log_ratio=_logarithmic(ratio_band, (low["ratio"], high["error"]), of_logarithms=True),
        dead=_share(dead["warning_fraction"], dead["error_fraction"]),
        saturated=_share(saturated["fraction"], 1.0),
    )


@cache
def usual_bands() -> Bands:
    """The bands under the rules' default thresholds."""
    return bands({})


def _limits(rule: Rule, thresholds: Thresholds) -> dict[str, float]:
    chosen = thresholds.get(rule.code, {})
    return {each.name: float(chosen.get(each.name, each.default)) for each in rule.thresholds}


def _below(usual: float, objected: float, factor: float) -> float:
    """The lower end of a band: the usual one, or lower if the rule objects only far below it."""
    return max(objected, min(usual, factor * objected))


def _logarithmic(
    band: tuple[float, float], objected: tuple[float, float], *, of_logarithms: bool
) -> Scale:
    """A scale in decades; if a rule objects at an end of the band, a decade further is worst."""
    low, high = (math.log10(max(end, 1e-30)) for end in band)
    high = max(high, low + 1e-6)
    lowest, highest = (math.log10(max(end, 1e-30)) for end in objected)
    return Scale(
        low,
        high,
        lowest if lowest < low else low - 1,
        highest if highest > high else high + 1,
        logarithmic=not of_logarithms,
    )


def _share(warning: float, worst: float) -> Scale:
    """A scale of shares from zero; it has no lower limit."""
    warning = max(warning, 1e-9)
    return Scale(0.0, warning, 0.0, worst if worst > warning else warning + 1)
