"""The only way in which text from a run reaches the screen: literally, never as markup."""

from rich.text import Text

from nntrace.text import printable


def literal(text: object, style: str = "") -> Text:
    """The text in one style, with control characters escaped; square brackets are kept."""
    return Text(printable(str(text)), style=style, no_wrap=True, overflow="ellipsis")


def line(text: str = "", style: str = "") -> Text:
    """The beginning of a line that does not wrap; text that is appended has its own style."""
    return Text.assemble((text, style), no_wrap=True, overflow="ellipsis")


def shorten_path(path: str, width: int | None = None) -> str:
    """A module path cut to `width` characters at its start, as its end identifies the layer."""
    shown = printable(path) or "(model)"
    if width is None or len(shown) <= width:
        return shown
    return f"…{shown[len(shown) - max(0, width - 1) :]}"
