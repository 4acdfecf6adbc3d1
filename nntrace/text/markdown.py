"""Text from user code made safe to stand in Markdown, as GitHub renders it.

Nothing that passes through here opens an element, a link, a table cell, emphasis or a mention.
"""

import html
import re
from typing import Final

from nntrace.text import printable

_PUNCTUATION: Final = frozenset("\\`*_[]|#~")
_SPAN: Final = re.compile(r"(`[^`]+`)")


def escaped(text: str) -> str:
    """The text where it may be read as Markdown: every character stands for itself."""
    shown = html.escape(printable(text), quote=False)
    # GitHub looks for mentions after it has resolved escapes; a comment in between stops it.
    return "".join(f"\\{char}" if char in _PUNCTUATION else char for char in shown).replace(
        "@", "@<!-- -->"
    )


def prose(text: str) -> str:
    """The same, but what the text puts between backticks is code. Not for cells of tables."""
    return "".join(
        code(part[1:-1]) if _SPAN.fullmatch(part) else escaped(part) for part in _SPAN.split(text)
    )


def code(text: str) -> str:
    """The text as a code span, whatever backticks it holds. Not for cells of tables."""
    shown = printable(text)
    if not shown.strip():
        return escaped(shown)
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", shown)), default=0))
    pad = " " if shown[0] in "` " or shown[-1] in "` " else ""
    return f"{fence}{pad}{shown}{pad}{fence}"
