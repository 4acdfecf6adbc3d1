"""The numbers beside a layer. One outside its band is marked by a sign as well as by colour."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from rich.text import Text

from nntrace_tui.bands import Bands
from nntrace_tui.numbers import log_ratio, percent, short_number
from nntrace_tui.pages.layers import LayerRow
from nntrace_tui.themes import Palette

_TOO_LOW, _TOO_HIGH, _BAD, _WELL = "↓", "↑", "!", " "


@dataclass(frozen=True, slots=True)
class Column:
    """A column of numbers.

    `value` returns what a row shows in it, and the sign that marks a number outside its band.
    """

    label: str
    width: int
    value: Callable[[LayerRow, Bands], tuple[str, str]]

    def cell(self, row: LayerRow | None, bands: Bands, palette: Palette) -> Text:
        """Return the layer's number, or blanks for a group (a `row` of None)."""
        if row is None:
            return Text(" " * self.width)
        shown, mark = self.value(row, bands)
        style = {_BAD: palette.error, _WELL: ""}.get(mark, palette.warning)
        return Text(f"{shown}{mark}".rjust(self.width), style)


def _marked(shown: str, value: float | None, band: tuple[float, float]) -> tuple[str, str]:
    if value is None or math.isnan(value):
        return shown, _WELL
    return shown, _TOO_LOW if value < band[0] else _TOO_HIGH if value > band[1] else _WELL


def _activation_std(row: LayerRow, bands: Bands) -> tuple[str, str]:
    return _marked(short_number(row.activation_std), row.activation_std, bands.std.band)


def _gradient_rms(row: LayerRow, _bands: Bands) -> tuple[str, str]:
    return short_number(row.gradient_rms), _WELL


def _update_ratio(row: LayerRow, bands: Bands) -> tuple[str, str]:
    value = row.log10_update_ratio
    if value == -math.inf:
        return log_ratio(value), _TOO_LOW
    return _marked(log_ratio(value), value, bands.log_ratio.band)


def _dead(row: LayerRow, bands: Bands) -> tuple[str, str]:
    bad = (row.dead_fraction or 0.0) > bands.dead.high
    return percent(row.dead_fraction), _BAD if bad else _WELL


def _saturated(row: LayerRow, bands: Bands) -> tuple[str, str]:
    bad = (row.saturated_fraction or 0.0) > bands.saturated.high
    return percent(row.saturated_fraction), _TOO_HIGH if bad else _WELL


def _nonfinite(row: LayerRow, _bands: Bands) -> tuple[str, str]:
    return percent(row.nonfinite_fraction), _BAD if row.nonfinite_fraction else _WELL


COLUMNS: Final = (
    Column("act std ", 9, _activation_std),
    Column("grad rms ", 10, _gradient_rms),
    Column("Δw/w ", 8, _update_ratio),
    Column("dead ", 8, _dead),
    Column("sat ", 8, _saturated),
    Column("non-fin ", 9, _nonfinite),
)
