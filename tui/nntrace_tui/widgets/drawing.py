"""Text that fits the room it has: a function draws it, again whenever its size changes."""

from collections.abc import Callable

from rich.text import Text
from textual.widgets import Static

from nntrace_tui.themes import Palette, palette

Draw = Callable[[int, int, Palette], Text]


class Drawing(Static):
    """Shows the text that a function draws for the size of the widget."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002  as Textual calls it
        super().__init__(id=id)
        self._draw: Draw | None = None

    def draw(self, draw: Draw) -> None:
        """Draw with this function from now on."""
        self._draw = draw
        self.on_resize()

    def on_resize(self) -> None:
        """Draw the text again for the new size."""
        if self._draw is not None:
            size = self.content_size
            self.update(self._draw(size.width, size.height, palette(self.app)))
