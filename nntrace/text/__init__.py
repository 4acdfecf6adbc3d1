"""Text from user code made safe to show: names, paths, messages and payloads are hostile input.

The result of `printable` never moves the cursor, changes colours, reorders the line or breaks it.
It may still hold markup: pass it on as plain text (`rich.text.Text`), never as markup.
"""

import re

_PLACE = re.compile(r"\s*$|\s+File \"|\s+\[\[\{\{|Detected at ")  # places in TensorFlow's graphs
_LONGEST_ERROR = 200
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def printable(text: str, limit: int | None = None) -> str:
    r"""The text with every character that does not simply print replaced by a visible escape.

    Control characters, line breaks, bidirectional and other invisible format characters, lone
    surrogates and blanks other than the space become `\n`, `\x1b`, `\u202e` and the like.
    With `limit`, a longer text is cut to that many characters, the last of them an ellipsis.
    """
    if limit is not None and len(text) > limit:
        text = text[: limit - 1] + "…"
    if text.isprintable():
        return text
    shown = "".join(char if char.isprintable() else _escape(char) for char in text)
    return printable(shown, limit)


def plural(count: int, noun: str) -> str:
    """A count with its noun: `1 step`, `2 steps`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def gist(said: str) -> str:
    """The line of an error's text that says what happened; frameworks add pages, and colours.

    That is the first line and, if it ends with a colon, the last later line that names no place in
    the code.
    """
    lines = _COLOURS.sub("", said).strip().splitlines() or [""]
    first, rest = lines[0].rstrip(), [line for line in lines[1:] if not _PLACE.match(line)]
    return f"{first} {rest[-1].strip()}" if first.endswith(":") and rest else first


def in_short(error: BaseException) -> str:
    """An error's type and the gist of its text, printable, in at most 200 characters."""
    said = gist(str(error))
    return printable(
        f"{type(error).__name__}: {said}" if said else type(error).__name__, _LONGEST_ERROR
    )


def _escape(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")
