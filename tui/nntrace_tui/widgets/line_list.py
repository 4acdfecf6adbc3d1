"""A list that draws its lines on demand: of two thousand layers only those in sight cost time."""

from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.events import Click, Resize
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip


class LineList(ScrollView, can_focus=True):
    """A heading with lines below it, one of them under the cursor.

    A subclass implements `count`, `heading` and `line`, and calls `renew` when their results have
    changed.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {"line-list--cursor", "line-list--heading"}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("home", "move(-1000000)", "First", show=False),
        Binding("end", "move(1000000)", "Last", show=False),
        Binding("enter", "choose", "Open"),
    ]
    HEADING_LINES = 1

    class Chosen(Message):
        """Enter was pressed, or the line under the cursor was clicked."""

        def __init__(self, widget: "LineList", index: int) -> None:
            super().__init__()
            self.widget = widget
            self.index = index

        @property
        def control(self) -> "LineList":
            """The list that sent the message."""
            return self.widget

    def __init__(self) -> None:
        super().__init__()
        self.cursor = 0

    @property
    def count(self) -> int:
        """The number of lines."""
        raise NotImplementedError

    @property
    def line_width(self) -> int:
        """The width of a line: that of the list without its scrollbar."""
        return self.scrollable_content_region.width

    def heading(self, width: int) -> Text:
        """Return the heading, which stays above the lines that scroll."""
        raise NotImplementedError

    def line(self, index: int, width: int) -> Text:
        """Return the text of one line."""
        raise NotImplementedError

    def renew(self) -> None:
        """Draw all lines again because their text has changed."""
        self.cursor = max(0, min(self.cursor, self.count - 1))
        self.virtual_size = Size(self.line_width, self.count + self.HEADING_LINES)
        self.refresh()

    def on_resize(self, event: Resize) -> None:
        """Draw all lines again: they are as wide as the list."""
        self.renew()

    def render_line(self, y: int) -> Strip:
        """Return the line at height `y`: the heading stays, the lines below it scroll."""
        width = self.line_width
        if y < self.HEADING_LINES:
            heading = self.heading(width)
            return self._strip(heading, width, "line-list--heading")
        index = y - self.HEADING_LINES + self.scroll_offset.y
        if not 0 <= index < self.count:
            return Strip.blank(width, self.rich_style)
        name = "line-list--cursor" if index == self.cursor and self.has_focus else None
        return self._strip(self.line(index, width), width, name)

    def _strip(self, text: Text, width: int, component: str | None) -> Strip:
        style = self.rich_style
        if component is not None:
            style = self.get_component_rich_style(component)
        strip = Strip(text.render(self.app.console, end=""))
        return strip.adjust_cell_length(width).apply_style(style)

    def action_move(self, by: int) -> None:
        """Move the cursor by that many lines."""
        self.move_to(self.cursor + by)

    def action_page(self, by: int) -> None:
        """Move the cursor by that many screens."""
        self.move_to(self.cursor + by * max(1, self.size.height - self.HEADING_LINES - 1))

    def move_to(self, index: int) -> None:
        """Put the cursor on a line and scroll the line into sight."""
        self.cursor = max(0, min(index, self.count - 1))
        top, room = self.scroll_offset.y, self.size.height - self.HEADING_LINES
        if self.cursor < top:
            self.scroll_to(y=self.cursor, animate=False, force=True)
        elif room > 0 and self.cursor >= top + room:
            self.scroll_to(y=self.cursor - room + 1, animate=False, force=True)
        self.refresh()

    def action_choose(self) -> None:
        """Send `Chosen` for the line under the cursor."""
        if self.count:
            self.post_message(self.Chosen(self, self.cursor))

    def on_click(self, event: Click) -> None:
        """Move the cursor to the clicked line; a click on the cursor's line chooses it."""
        index = event.y - self.HEADING_LINES + self.scroll_offset.y
        if event.y < self.HEADING_LINES or not 0 <= index < self.count:
            return
        if index == self.cursor:
            self.action_choose()
        else:
            self.move_to(index)

    def watch_has_focus(self, _has_focus: bool) -> None:
        """Draw again: the cursor is only shown while the list has the focus."""
        super().watch_has_focus(_has_focus)
        self.refresh(Region(0, 0, self.size.width, self.size.height))
