"""The first page: the diagnosis, the loss, the layers and the findings at one glance."""

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container

from nntrace_tui.draw import sparkline
from nntrace_tui.literal import line
from nntrace_tui.messages import Look
from nntrace_tui.numbers import short_number
from nntrace_tui.pages.curve import Curve
from nntrace_tui.pages.overview import OverviewPage
from nntrace_tui.screens.page import PageScreen
from nntrace_tui.snapshot import Snapshot
from nntrace_tui.themes import Palette
from nntrace_tui.view import Page
from nntrace_tui.widgets.curve_plot import CurvePlot, Plotted
from nntrace_tui.widgets.drawing import Drawing
from nntrace_tui.widgets.findings_list import FindingsList
from nntrace_tui.widgets.headline import Headline
from nntrace_tui.widgets.layers_heat import LayersHeat
from nntrace_tui.widgets.line_list import LineList
from nntrace_tui.widgets.program_output import ProgramOutput


class OverviewScreen(PageScreen):
    """Shows the run at one glance."""

    PAGE = Page.OVERVIEW
    HELP = """\
The line on top is the diagnosis: the likeliest root cause and what to do about it.

Loss        every step in grey, its mean in colour, ● evaluations
grad, lr    gradient norm and learning rate over the run, and their last value
Findings    E error, W warning, I a fact. The likely cause stands first, its
            symptoms indented below it. Enter opens one.
Layers      (wide terminals) one line per layer; 2 opens the page

l   loss on a linear or a logarithmic scale, or as it suits the values
"""
    BINDINGS: ClassVar[list[BindingType]] = [Binding("l", "scale", "Log scale")]
    AUTO_FOCUS = "FindingsList"

    def __init__(self) -> None:
        super().__init__()
        self._logarithmic: bool | None = None

    def body(self) -> ComposeResult:
        """Yield the diagnosis on top, the plots on the left, findings and layers on the right."""
        yield Headline()
        with Container(id="panes"):
            with Container(id="curves"):
                yield CurvePlot(id="loss")
                yield Drawing(id="strips")
            with Container(id="verdict"):
                yield FindingsList()
                yield LayersHeat()
        yield ProgramOutput()

    def show_content(self, snapshot: Snapshot) -> None:
        """Update every pane."""
        page = snapshot.content
        self.query_one(Headline).show(snapshot)
        self.query_one(FindingsList).show(snapshot.findings, snapshot.skipped)
        if not isinstance(page, OverviewPage):
            return
        plotted = Plotted("Loss", page.loss, page.evaluations, logarithmic=self._logarithmic)
        self.query_one("#loss", CurvePlot).show(plotted)
        self.query_one("#strips", Drawing).draw(
            lambda width, _, colours: _strips(page, width, colours)
        )
        self.query_one(LayersHeat).show(page.layers)

    def action_scale(self) -> None:
        """Switch the scale of the loss: logarithmic, linear, or as it suits the values."""
        order = {None: True, True: False, False: None}
        self._logarithmic = order[self._logarithmic]
        words = {None: "as it suits", True: "logarithmic", False: "linear"}
        self.notify(f"loss scale: {words[self._logarithmic]}", timeout=2)
        if self._snapshot is not None:
            self.show_content(self._snapshot)

    def on_line_list_chosen(self, event: LineList.Chosen) -> None:
        """Open the chosen layer."""
        path = self.query_one(LayersHeat).path_at(event.index)
        if path is not None:
            self.post_message(Look(page=Page.LAYER, layer=path, parameter=0))


def _strips(page: OverviewPage, width: int, colours: Palette) -> Text:
    lines = [
        _strip("grad norm", page.grad_norm, width, colours),
        _strip("lr", page.lr, width, colours),
    ]
    return Text("\n").join(lines)


def _strip(name: str, curve: Curve, width: int, colours: Palette) -> Text:
    text = line(f"{name:<9} ", colours.dim)
    last = curve.values[-1] if curve.values else None
    text.append(f"{short_number(last):>8} ", "bold")
    return text.append(sparkline(curve, max(0, width - text.cell_len)), colours.curve)
