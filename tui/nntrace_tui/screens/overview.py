"""The first screen: the run, its loss, its layers and its findings at one glance."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.screen import Screen
from textual.widgets import Footer, OptionList

from nntrace_tui.screens.finding import FindingScreen
from nntrace_tui.snapshot import Snapshot
from nntrace_tui.widgets.findings_list import FindingsList
from nntrace_tui.widgets.layers_table import LayersTable
from nntrace_tui.widgets.loss_plot import LossPlot
from nntrace_tui.widgets.run_header import RunHeader
from nntrace_tui.widgets.status_line import StatusLine


class OverviewScreen(Screen[None]):
    """Everything about the run on one screen; `show` is its only input."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "app.focus_next", "Next pane"),
        Binding("z", "zoom", "Zoom"),
    ]
    AUTO_FOCUS = "FindingsList"

    def compose(self) -> ComposeResult:
        """The header, the three panes and the footer."""
        yield RunHeader()
        with Container(id="panes"):
            yield LossPlot()
            yield LayersTable()
            yield FindingsList()
        yield StatusLine()
        yield Footer()

    def show(self, snapshot: Snapshot | None, problem: str | None) -> None:
        """Bring every pane up to date; without a snapshot yet only the problem is new."""
        self.query_one(StatusLine).show(problem)
        if snapshot is None:
            return
        self.query_one(RunHeader).show(snapshot.run)
        self.query_one(LossPlot).show(snapshot.loss)
        self.query_one(LayersTable).show(snapshot.layers, snapshot.sampled_step)
        self.query_one(FindingsList).show(snapshot.findings, snapshot.skipped)

    def action_zoom(self) -> None:
        """Give the focused pane the whole screen, or take it back."""
        if self.maximized is not None:
            self.minimize()
        elif self.focused is not None:
            self.maximize(self.focused)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Show the finding that was chosen in full."""
        finding = self.query_one(FindingsList).finding_at(event.option_index)
        if finding is not None:
            self.app.push_screen(FindingScreen(finding))
