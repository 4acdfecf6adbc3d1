"""Makes text from user code safe for Markdown, as GitHub renders it.

The results never open an element, a link, a table cell, emphasis or a mention.
"""

import html
import re
from typing import Final

from nntrace.text import printable

_PUNCTUATION: Final = frozenset("\\`*_[]|#~")
_SPAN: Final = re.compile(r"(`[^`]+`)")


def escaped(text: str) -> str:
    """The text escaped for Markdown: every character stands for itself."""
    shown = html.escape(printable(text), quote=False)
    # GitHub looks for mentions after it has resolved escapes; a comment after the @ prevents them.
    return "".join(f"\\{char}" if char in _PUNCTUATION else char for char in shown).replace(
        "@", "@<!-- -->"
    )


def prose(text: str) -> str:
    """The text escaped, except that parts in backticks become code spans. Not for table cells."""
    return "".join(
        code(part[1:-1]) if _SPAN.fullmatch(part) else escaped(part) for part in _SPAN.split(text)
    )


def code(text: str) -> str:
    """The text as a code span, whatever backticks it holds. Not for table cells."""
    shown = printable(text)
    if not shown.strip():
        return escaped(shown)
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", shown)), default=0))
    pad = " " if shown[0] in "` " or shown[-1] in "` " else ""
    return f"{fence}{pad}{shown}{pad}{fence}"
