"""The layer page: a layer's statistics side by side, one of them over time, its histograms."""

from functools import partial
from typing import ClassVar, Final

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.widgets import DataTable, Static

from nntrace.diagnosis.wording import place
from nntrace.rules import Location
from nntrace.schema import STATISTICS
from nntrace_tui.draw import density
from nntrace_tui.literal import line, literal, shorten_path
from nntrace_tui.messages import Look
from nntrace_tui.numbers import log_ratio, percent, short_number
from nntrace_tui.pages.layer import LOG_RATIO, HistogramHistory, LayerPage, SiteColumn
from nntrace_tui.screens.page import PageScreen
from nntrace_tui.snapshot import Snapshot
from nntrace_tui.themes import Palette, palette
from nntrace_tui.view import Page
from nntrace_tui.widgets.curve_plot import CurvePlot, Plotted
from nntrace_tui.widgets.drawing import Drawing
from nntrace_tui.widgets.findings_list import FindingsList

# The order in which the statistics are shown, the most telling ones first.
_ROWS: Final = (
    "std",
    "rms",
    "mean",
    LOG_RATIO,
    "min",
    "max",
    "dead_fraction",
    "saturated_fraction",
    "zero_fraction",
    "nonfinite_fraction",
    *(name for name in STATISTICS if name.startswith("q")),
    "example_std",
    "skew",
    "kurtosis",
)
_CELL: Final = 11
_LABEL: Final = 11
_LABELS: Final = {
    "nonfinite_fraction": "non-finite",
    "dead_fraction": "dead",
    "saturated_fraction": "saturated",
    "zero_fraction": "zero",
    "example_std": "example std",
}


class LayerScreen(PageScreen):
    """Shows one layer in full."""

    PAGE = Page.LAYER
    HELP = """\
The statistics of the last sample: the layer's output, the gradient of that output, and one of
its parameters with its gradient and its update. The statistic under the cursor is drawn over
time, between two lines where it has a band in which it is unremarkable. Below it, on narrow
terminals in its place, the histograms over time: positive values on top, each line a power of two.

arrows   another statistic
p        the next parameter of the layer (weight, bias, …)
h        (narrow terminals) the histograms in place of the curve, and back
n N      the next layer, the one before
y        copy the place in the program where the layer was built
Escape   back to the layers
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n", "layer(1)", "Next layer"),
        Binding("N", "layer(-1)", "Layer before", show=False),
        Binding("p", "parameter", "Parameter"),
        Binding("h", "histogram", "Histogram"),
        Binding("escape", "back", "Layers"),
    ]
    AUTO_FOCUS = "DataTable"

    def __init__(self) -> None:
        super().__init__()
        self._page: LayerPage | None = None
        self._rows: tuple[str, ...] = ()

    def body(self) -> ComposeResult:
        """Yield the title, the table, the plot, the histograms and the findings."""
        yield Static(id="layer-title")
        with Container(id="layer-panes"):
            table: DataTable[Text] = DataTable(cursor_type="cell", cell_padding=0)
            table.border_title = "Statistics"
            yield table
            with Container(id="layer-plots"):
                yield CurvePlot(id="statistic")
                yield Drawing(id="histogram")
        yield FindingsList()

    def show_content(self, snapshot: Snapshot) -> None:
        """Update every pane; the cursor stays where it is."""
        page = snapshot.content
        if not isinstance(page, LayerPage):
            return
        self._page = page
        self.query_one("#layer-title", Static).update(_title(page, palette(self.app)))
        self.query_one(FindingsList).show(page.findings, ())
        self.query_one(FindingsList).display = bool(page.findings)
        self._fill(page)
        self._draw()

    def copyable(self) -> str | None:
        """The place where the program built the layer."""
        return None if self._page is None else self._page.location

    def _fill(self, page: LayerPage) -> None:
        table: DataTable[Text] = self.query_one(DataTable)
        rows = tuple(n for n in _ROWS if any(n in column.latest for column in page.columns))
        cursor, scroll = table.cursor_coordinate, table.scroll_offset
        table.clear(columns=True)
        self._rows = rows
        table.add_column(Text(""), width=_LABEL)
        for column in page.columns:
            table.add_column(Text(_heading(page, column), justify="right"), width=_CELL)
        for name in rows:
            label = Text(_LABELS.get(name, name))
            table.add_row(
                label, *(_cell(column, name, palette(self.app)) for column in page.columns)
            )
        if rows and page.columns:
            table.move_cursor(row=cursor.row, column=max(1, cursor.column), scroll=False)
            table.scroll_to(*scroll, animate=False)

    def _draw(self) -> None:
        """Draw the statistic under the cursor, and its site's histograms."""
        page, table = self._page, self.query_one(DataTable)
        if page is None or not page.columns or not self._rows:
            return
        column = page.columns[min(max(1, table.cursor_column), len(page.columns)) - 1]
        name = self._rows[min(table.cursor_row, len(self._rows) - 1)]
        curve = column.curves.get(name)
        plot = self.query_one("#statistic", CurvePlot)
        if curve is not None:
            heading = f"{_heading(page, column)} {_LABELS.get(name, name)}"
            plot.show(Plotted(heading, curve, band=column.bands.get(name)))
        histogram = self.query_one("#histogram", Drawing)
        histogram.border_title = Text(f"Histogram of the {_heading(page, column)} over time")
        histogram.draw(partial(_histogram, column.histograms))

    def on_data_table_cell_highlighted(self) -> None:
        """Draw the statistic to which the cursor has moved."""
        self._draw()

    def action_parameter(self) -> None:
        """Show the next parameter of the layer."""
        if self._page is not None and self._page.parameters:
            following = (self._page.parameter + 1) % len(self._page.parameters)
            self.post_message(Look(parameter=following, layer=self._page.path))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Disable `histogram` on a wide terminal, which shows both plots."""
        return action != "histogram" or self.has_class("-narrow")

    def action_histogram(self) -> None:
        """Swap curve and histograms, if there is room for only one of them."""
        self.query_one("#layer-plots").toggle_class("histogram")

    def action_layer(self, by: int) -> None:
        """Show the next layer, or the one before."""
        if self._page is not None and self._page.path is not None:
            paths = self._page.paths
            place = paths.index(self._page.path) if self._page.path in paths else 0
            if paths:
                self.post_message(Look(layer=paths[(place + by) % len(paths)], parameter=0))

    def action_back(self) -> None:
        """Go back to the page of layers."""
        self.post_message(Look(page=Page.LAYERS))


def _title(page: LayerPage, colours: Palette) -> Text:
    if page.path is None:
        return Text("No layer was recorded yet.", colours.dim)
    text = line(shorten_path(page.path), "bold")
    text.append("  ").append_text(literal(page.module_type, colours.info))
    if page.file is not None and page.line is not None:
        shown = place(Location(page.file, page.line))
        text.append("  ").append_text(literal(shown, colours.dim))
    if page.source:
        text.append("  ").append_text(literal(page.source))
    return text


def _heading(page: LayerPage, column: SiteColumn) -> str:
    """The heading of a column; a parameter's column has the parameter's name."""
    if column.heading == "weight" and page.parameters:
        return literal(page.parameters[page.parameter]).plain[: _CELL - 1]
    return column.heading


def _cell(column: SiteColumn, name: str, colours: Palette) -> Text:
    value = column.latest.get(name)
    if value is None:
        return Text("")
    write = percent if name.endswith("_fraction") else short_number
    shown = log_ratio(value) if name == LOG_RATIO else write(value)
    band = column.bands.get(name)
    out = band is not None and not band[0] <= value <= band[1]
    return Text(shown, style=colours.warning if out else "", justify="right")


def _histogram(history: HistogramHistory, width: int, height: int, colours: Palette) -> Text:
    if history.shares is None or width < 20 or height < 3:
        return Text("no histogram was recorded yet" if history.shares is None else "", colours.dim)
    labels = _bin_labels(history)
    lines = density(history.shares, width - 9, colours)
    chosen = range(len(lines))
    if len(lines) > height:  # the bins around zero stay in the middle
        cut = len(lines) - height
        chosen = range(cut // 2, len(lines) - (cut - cut // 2))
    return Text("\n", no_wrap=True).join(
        Text.assemble((f"{labels[n]:>8} ", colours.dim), lines[n]) for n in chosen
    )


def _bin_labels(history: HistogramHistory) -> list[str]:
    """The lower end of each bin, the highest bin first, as `density` draws them."""
    assert history.shares is not None
    octaves = len(history.shares) // 2
    sizes = [2.0 ** (history.lowest_octave + n) for n in range(octaves)]
    above = [short_number(size) for size in reversed(sizes)]
    return [*above, "≈0", *(f"-{short_number(size)}" for size in sizes)]
