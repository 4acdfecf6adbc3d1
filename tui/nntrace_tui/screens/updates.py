"""The updates page: every parameter's update ratio beside its band, and the learning rate."""

import math
from typing import ClassVar, Final

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from nntrace.paths import enclosing
from nntrace_tui.draw import scale_marker, strip
from nntrace_tui.literal import line, shorten_path
from nntrace_tui.messages import Look
from nntrace_tui.numbers import log_ratio
from nntrace_tui.pages.updates import UpdatesPage
from nntrace_tui.screens.page import PageScreen
from nntrace_tui.snapshot import Snapshot
from nntrace_tui.themes import palette
from nntrace_tui.view import Page
from nntrace_tui.widgets.curve_plot import CurvePlot, Plotted
from nntrace_tui.widgets.line_list import LineList

_LOW, _HIGH = -6.0, 0.0  # ends of the drawn scale, log10
_MOST_LABEL: Final = 40
_HEAT_FROM: Final = 110


class UpdateRatios(LineList):
    """Shows an `UpdatesPage`, one parameter per line."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("s", "sort", "Sort by distance")]

    def __init__(self) -> None:
        super().__init__()
        self.border_title = "log10 rms(Δw) / rms(w) of each parameter"
        self._page: UpdatesPage | None = None
        self._order: tuple[int, ...] = ()
        self._by_distance = False

    def show(self, page: UpdatesPage) -> None:
        """Update the list."""
        if page is self._page:
            return
        self._page = page
        self._arrange()

    def action_sort(self) -> None:
        """Switch between two orders: furthest from the band first, or by depth."""
        self._by_distance = not self._by_distance
        self._arrange()

    def path_at(self, index: int) -> str | None:
        """The parameter in a line."""
        return None if self._page is None else self._page.paths[self._order[index]]

    def _arrange(self) -> None:
        if self._page is not None:
            ratios = self._page.log10_ratios
            band = self._page.band
            order = range(len(ratios))
            self._order = tuple(sorted(order, key=lambda n: -_distance(ratios[n], band)))
            if not self._by_distance:
                self._order = tuple(order)
        self.renew()

    @property
    def count(self) -> int:
        """The number of parameters."""
        return len(self._order)

    def heading(self, width: int) -> Text:
        """The headings, with the numbers of the scale."""
        label, scale, heat = self._widths(width)
        text = line("parameter".ljust(label) + "    now ", "bold")
        marks = [" "] * scale
        for power in range(int(_LOW), int(_HIGH)):
            place = int((power - _LOW) / (_HIGH - _LOW) * scale)
            marks[place : place + 2] = list(str(power))
        text.append("".join(marks)[:scale])
        return text.append(f"  {'over the run':<{heat}}") if heat else text

    def line(self, index: int, width: int) -> Text:
        """Draw a parameter's name, ratio, place on the scale, and history."""
        page = self._page
        if page is None:
            return Text()
        number, colours = self._order[index], palette(self.app)
        label, scale, heat = self._widths(width)
        value = page.log10_ratios[number]
        text = Text(shorten_path(page.paths[number], label - 1).ljust(label), no_wrap=True)
        text.append(
            f"{log_ratio(value):>7} ", colours.warning if _distance(value, page.band) else ""
        )
        text.append_text(
            scale_marker(value, (_LOW, _HIGH), page.band, page.spreads[number], scale, colours)
        )
        if heat:
            text.append("  ").append_text(strip(page.heat.levels[number], heat, colours))
        return text

    def _widths(self, width: int) -> tuple[int, int, int]:
        """The widths of label, scale and heat strip."""
        longest = max((len(path) for path in self._page.paths), default=9) if self._page else 9
        label = max(10, min(longest + 1, _MOST_LABEL, width // 3))
        rest = width - label - 8
        if width < _HEAT_FROM:
            return label, max(6, rest), 0
        scale = min(60, rest // 2)
        return label, scale, rest - scale - 2


def _distance(ratio: float, band: tuple[float, float]) -> float:
    """How many decades a ratio is outside the band: 0 if unknown, infinite if nothing moved."""
    if math.isnan(ratio):
        return 0.0
    low, high = band
    return max(low - ratio, ratio - high, 0.0)


class UpdatesScreen(PageScreen):
    """Shows the updates of all parameters."""

    PAGE = Page.UPDATES
    HELP = """\
How far a step moves each parameter, relative to the parameter: log10 of rms(Δw) / rms(w), where
Δw is what the optimizer really did. About -3 is usual; the dotted band ends where UPD01
warns and a decade above where UPD02 does.

●        now: at the last sample, as on the pages of layers
━ ─      the range over the run
none     nothing moved
s        the furthest from the band first
Enter    the layer of the parameter
"""
    AUTO_FOCUS = "UpdateRatios"

    def body(self) -> ComposeResult:
        """Yield the ratios, and the learning rate below them."""
        yield UpdateRatios()
        yield CurvePlot(id="lr")

    def show_content(self, snapshot: Snapshot) -> None:
        """Update both panes."""
        page = snapshot.content
        if isinstance(page, UpdatesPage):
            self.query_one(UpdateRatios).show(page)
            title = " + ".join(["Learning rate", *page.optimizers][:3]).replace(" + ", " · ", 1)
            self.query_one("#lr", CurvePlot).show(Plotted(title, page.lr))

    def on_line_list_chosen(self, event: LineList.Chosen) -> None:
        """Open the layer of the chosen parameter."""
        path = self.query_one(UpdateRatios).path_at(event.index)
        if path is not None:
            self.post_message(Look(page=Page.LAYER, layer=enclosing(path), parameter=0))
