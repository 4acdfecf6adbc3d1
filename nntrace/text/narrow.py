"""Writes what an encoding lacks in letters that every encoding has: `→` as `->`, `✓` as `+`.

Terminals and files of Windows often have cp1252, minimal containers ASCII.
"""

import codecs
from typing import Final

_PLAIN: Final = {
    "→": "->",
    "↔": "<->",
    "…": "...",
    "–": "-",
    "—": "-",
    "−": "-",
    "·": "-",
    "•": "*",
    "✓": "+",
    "✗": "x",
    "○": "o",
    "●": "*",
    "▲": "^",
    "×": "x",
    "Δ": "d",
    "√": "sqrt",
    "≥": ">=",
    "≤": "<=",
    "±": "+-",
    "²": "^2",
    "∞": "inf",
    "≈": "~",
    "─": "-",
    "━": "-",
    "═": "=",
    "│": "|",
    "├": "|",
    "└": "`",
}


def narrow(error: UnicodeError) -> tuple[str, int]:
    """An error handler for encodings; characters without a plain form become escapes."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    missing = error.object[error.start : error.end]
    plain = (
        _PLAIN.get(char) or char.encode("ascii", "backslashreplace").decode() for char in missing
    )
    return "".join(plain), error.end


def narrow_errors() -> str:
    """The name of the error handler, as `open(errors=…)` takes it."""
    name = "nntrace-narrow"
    codecs.register_error(name, narrow)
    return name
