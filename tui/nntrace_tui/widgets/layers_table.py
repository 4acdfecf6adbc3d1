"""One line per layer, with what leaves its band marked by an arrow as well as by colour."""

import math
from collections.abc import Callable
from typing import NamedTuple

from rich.text import Text
from textual.coordinate import Coordinate
from textual.events import Resize
from textual.widgets import DataTable

from nntrace_tui.layers import LayerRow
from nntrace_tui.literal import literal, shorten_path
from nntrace_tui.numbers import percent, short_number

STD_BAND = (0.5, 2.0)
LOG10_RATIO_BAND = (-4.0, -2.0)
_DEAD_WARNING = 0.2
_MOST_PATH = 60


class _Column(NamedTuple):
    label: str
    width: int
    cell: Callable[[LayerRow], Text]


class LayersTable(DataTable[Text]):
    """Shows `LayerRow`s; rewrites only the cells that have changed."""

    def __init__(self) -> None:
        super().__init__(cursor_type="row", cell_padding=0)
        self.border_title = "Layers"
        self._layers: tuple[LayerRow, ...] = ()
        self._paths: tuple[str, ...] = ()
        self._path_width = 0

    def show(self, layers: tuple[LayerRow, ...], step: int | None) -> None:
        """Bring the table up to date, keeping the cursor and the scroll position."""
        self.border_title = "Layers" if step is None else f"Layers · at step {step:,}"
        before, self._layers = self._layers, layers
        paths = tuple(layer.path for layer in layers)
        if paths != self._paths or not self.columns:
            self._paths = paths
            self._rebuild()
            return
        for row, (old, new) in enumerate(zip(before, layers, strict=True)):
            if old != new:
                for number, column in enumerate(_COLUMNS, start=2):
                    self.update_cell_at(Coordinate(row, number), column.cell(new))

    def on_resize(self, event: Resize) -> None:
        """Give the paths the room that the numbers leave."""
        if self._width_for_paths() != self._path_width:
            self._rebuild()

    def _width_for_paths(self) -> int:
        numbers = sum(column.width for column in _COLUMNS)
        room = self.size.width - numbers - self._type_width() - self.styles.scrollbar_size_vertical
        longest = max((len(shorten_path(path)) for path in self._paths), default=0)
        return max(12, min(room, longest + 1, _MOST_PATH))

    def _type_width(self) -> int:
        return 12 if self.size.width < 90 else 20

    def _rebuild(self) -> None:
        self._path_width = self._width_for_paths()
        row, scroll = self.cursor_row, self.scroll_offset
        self.clear(columns=True)
        self.add_column(Text("layer"), width=self._path_width)
        self.add_column(Text("type"), width=self._type_width())
        for column in _COLUMNS:
            self.add_column(Text(column.label, justify="right"), width=column.width)
        for layer in self._layers:
            path = literal(shorten_path(layer.path, self._path_width - 1))
            kind = literal(layer.module_type)
            kind.truncate(self._type_width() - 1, overflow="ellipsis")
            self.add_row(path, kind, *(column.cell(layer) for column in _COLUMNS))
        if self.row_count:
            self.move_cursor(row=min(row, self.row_count - 1), scroll=False)
            self.scroll_to(*scroll, animate=False)


def _cell(text: str, style: str = "", mark: str = " ") -> Text:
    return Text(f"{text} {mark}", style=style, justify="right")


def _in_band(text: str, value: float | None, band: tuple[float, float]) -> Text:
    if value is None or math.isnan(value):
        return _cell(text, "dim")
    if value < band[0]:
        return _cell(text, "yellow", "↓")
    return _cell(text, "yellow", "↑") if value > band[1] else _cell(text)


def _activation_std(layer: LayerRow) -> Text:
    return _in_band(short_number(layer.activation_std), layer.activation_std, STD_BAND)


def _gradient_rms(layer: LayerRow) -> Text:
    style = "" if layer.gradient_rms else "dim"
    return Text(short_number(layer.gradient_rms), style=style, justify="right")


def _update_ratio(layer: LayerRow) -> Text:
    value = layer.log10_update_ratio
    if value == -math.inf:
        return _cell("0", "yellow", "↓")
    shown = short_number(None) if value is None else f"{value:.2f}"
    return _in_band(shown, value, LOG10_RATIO_BAND)


def _dead(layer: LayerRow) -> Text:
    bad = (layer.dead_fraction or 0.0) > _DEAD_WARNING
    return _cell(percent(layer.dead_fraction), "yellow" if bad else "", "!" if bad else " ")


def _nonfinite(layer: LayerRow) -> Text:
    bad = bool(layer.nonfinite_fraction)
    shown = percent(layer.nonfinite_fraction)
    return Text(f"{shown} !" if bad else shown, style="red" if bad else "", justify="right")


_COLUMNS = (
    _Column("act std  ", 10, _activation_std),
    _Column("grad rms", 9, _gradient_rms),
    _Column("log Δw/w  ", 11, _update_ratio),
    _Column("dead  ", 8, _dead),
    _Column("non-fin", 9, _nonfinite),
)
