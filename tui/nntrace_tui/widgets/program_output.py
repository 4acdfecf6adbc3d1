"""What the traced program prints, in a run that was started together with the monitor.

It reads the end of a growing file. Escape sequences are removed, and a carriage return replaces
the line, as progress bars expect. Nothing that the program prints reaches the terminal unchanged.
"""

import re
from collections import deque
from pathlib import Path
from typing import Final

from rich.text import Text
from textual.widgets import Static

from nntrace.text import printable

_LINES_KEPT: Final = 200
_BYTES_AT_ONCE: Final = 1 << 16
# CSI and OSC sequences, and other two-character escapes.
_ESCAPE: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\^_])")


class Tail:
    """The last lines of a growing file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = max(0, _size(path) - _BYTES_AT_ONCE)
        self._rest = b""
        self.lines: deque[str] = deque(maxlen=_LINES_KEPT)

    def read(self) -> bool:
        """Read what was added to the file; return whether there was anything."""
        try:
            with self._path.open("rb") as file:
                self._offset = max(self._offset, _size(self._path) - _BYTES_AT_ONCE)
                file.seek(self._offset)
                fresh = file.read(_BYTES_AT_ONCE)
        except OSError:
            return False
        if not fresh:
            return False
        self._offset += len(fresh)
        if self._rest and self.lines:
            self.lines.pop()
        *whole, self._rest = (self._rest + fresh).split(b"\n")
        self._rest = self._rest[-_BYTES_AT_ONCE:]
        self.lines.extend(clean(line) for line in whole)
        if self._rest:
            self.lines.append(clean(self._rest))
        return True


def clean(line: bytes) -> str:
    """Return a line as a terminal would show it, without colours."""
    text = _ESCAPE.sub("", line.decode("utf-8", "replace")).rstrip("\r")
    return printable(text.rpartition("\r")[2].expandtabs())


class ProgramOutput(Static):
    """Shows the last lines of the program's output; hidden until `follow` is called."""

    POLL_SECONDS = 0.5

    def __init__(self) -> None:
        super().__init__()
        self.border_title = "Output of the program"
        self._tail: Tail | None = None

    def follow(self, path: Path) -> None:
        """Show the end of the file at `path` from now on."""
        self._tail = Tail(path)
        self.display = True
        self.set_interval(self.POLL_SECONDS, self._poll)
        self._poll()

    def _poll(self) -> None:
        if self._tail is not None and self._tail.read():
            self.on_resize()

    def on_resize(self) -> None:
        """Show as many of the last lines as there is room for."""
        if self._tail is not None:
            room = max(1, self.content_size.height)
            lines = [Text(line, no_wrap=True) for line in list(self._tail.lines)[-room:]]
            self.update(Text("\n", no_wrap=True, overflow="ellipsis").join(lines))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
