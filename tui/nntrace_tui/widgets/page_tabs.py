"""The line of pages with their keys. A click opens a page; a mark shows where findings are."""

from rich.text import Text
from textual.events import Click
from textual.widgets import Static

from nntrace.rules import Severity
from nntrace_tui.messages import Look
from nntrace_tui.snapshot import Snapshot
from nntrace_tui.themes import palette
from nntrace_tui.view import Page

# The page on which a finding can be seen best. Findings of other families are on the overview.
_PAGE_OF_FAMILY = {
    "ACT": Page.LAYERS,
    "GRD": Page.LAYERS,
    "INI": Page.LAYERS,
    "PAR": Page.LAYERS,
    "UPD": Page.UPDATES,
    "DAT": Page.DATA,
    "NUM": Page.NUMERICS,
    "DST": Page.RANKS,
}


class PageTabs(Static):
    """The names of the pages, the open one highlighted."""

    def __init__(self, page: Page) -> None:
        super().__init__()
        self._page = page
        self._marked: frozenset[Page] = frozenset()
        self._ends: list[tuple[int, Page]] = []

    def on_mount(self) -> None:
        """Draw the pages without marks; the findings are not known yet."""
        self._draw()

    def show(self, snapshot: Snapshot) -> None:
        """Mark the pages that show a finding more severe than a note."""
        marked = frozenset(
            _PAGE_OF_FAMILY[finding.code[:3]]
            for finding in snapshot.findings or ()
            if finding.level is not Severity.INFO and finding.code[:3] in _PAGE_OF_FAMILY
        )
        if marked != self._marked:
            self._marked = marked
            self._draw()

    def _draw(self) -> None:
        colours = palette(self.app)
        text = Text(no_wrap=True, overflow="ellipsis")
        self._ends = []
        for page in Page:
            style = "bold reverse" if page is self._page else ""
            text.append(f" {page.key}", style or colours.dim)
            text.append(f" {page}", style)
            mark = "•" if page in self._marked else " "
            text.append(mark, style or f"bold {colours.warning}")
            self._ends.append((text.cell_len, page))
        self.update(text)

    def on_click(self, event: Click) -> None:
        """Open the clicked page."""
        place = event.get_content_offset(self)
        if place is not None:
            found = next((page for end, page in self._ends if place.x < end), None)
            if found is not None:
                self.post_message(Look(page=found))
