"""Text that fits its room: drawn by a function of it, and again when it changes."""

from collections.abc import Callable

from rich.text import Text
from textual.widgets import Static

from nntrace_tui.themes import Palette, palette

Draw = Callable[[int, int, Palette], Text]


class Drawing(Static):
    """Shows what its function draws."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002  as Textual calls it
        super().__init__(id=id)
        self._draw: Draw | None = None

    def draw(self, draw: Draw) -> None:
        """Draw by this function from now on."""
        self._draw = draw
        self.on_resize()

    def on_resize(self) -> None:
        """Draw for the room there is."""
        if self._draw is not None:
            size = self.content_size
            self.update(self._draw(size.width, size.height, palette(self.app)))
