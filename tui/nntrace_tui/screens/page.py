"""What all pages have in common: the header and tabs above, the status and keys below."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.screen import Screen
from textual.widgets import Footer, OptionList

from nntrace_tui.messages import ShowFinding
from nntrace_tui.snapshot import Snapshot
from nntrace_tui.view import Page
from nntrace_tui.widgets.findings_list import FindingsList
from nntrace_tui.widgets.page_tabs import PageTabs
from nntrace_tui.widgets.run_header import RunHeader
from nntrace_tui.widgets.status_line import StatusLine


class PageScreen(Screen[None]):
    """A page; `show` is its only input.

    A subclass defines `PAGE`, `HELP` (the text that `?` shows), `body` and `show_content`.
    """

    PAGE: ClassVar[Page]
    HELP: ClassVar[str]
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "app.focus_next", "Next pane", show=False),
        Binding("z", "zoom", "Zoom", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._snapshot: Snapshot | None = None

    def compose(self) -> ComposeResult:
        """Yield the frame around the page's own panes."""
        yield RunHeader()
        yield PageTabs(self.PAGE)
        with Container(id="body"):
            yield from self.body()
        yield StatusLine()
        yield Footer(show_command_palette=False)

    def body(self) -> ComposeResult:
        """Yield the page's own panes."""
        raise NotImplementedError

    def show(self, snapshot: Snapshot | None, problem: str | None) -> None:
        """Update every pane, or only the problem while there is no snapshot."""
        self.query_one(StatusLine).show(problem)
        if snapshot is None:
            return
        self.query_one(RunHeader).show(snapshot)
        self.query_one(PageTabs).show(snapshot)
        if snapshot.view.page is self.PAGE:
            self._snapshot = snapshot
            self.show_content(snapshot)

    def show_content(self, snapshot: Snapshot) -> None:
        """Update the page's own panes."""
        raise NotImplementedError

    def copyable(self) -> str | None:
        """The text that `y` copies; None for the run's path."""
        return None

    def action_zoom(self) -> None:
        """Give the focused pane the whole screen, or back its own place."""
        if self.maximized is not None:
            self.minimize()
        elif self.focused is not None:
            self.maximize(self.focused)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Show the chosen finding in full."""
        if isinstance(event.option_list, FindingsList):
            finding = event.option_list.finding_at(event.option_index)
            if finding is not None:
                self.post_message(ShowFinding(finding))
