"""Where commands write: stdout through rich, or a file; and notes for the user on stderr."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Final, TextIO

from nntrace.files import replacing
from nntrace.notices import say
from nntrace.text import printable
from nntrace.text.narrow import narrow_errors

if TYPE_CHECKING:
    from rich.console import Console

_UNWRAPPED: Final = 1000  # columns


def note(message: str) -> None:
    """Print a message on stderr as one line, whatever characters it holds."""
    say(printable(message))


@contextmanager
def output(path: Path | None = None) -> Iterator[TextIO]:
    """Stdout, or a file; what stdout's encoding lacks is written in plain letters."""
    if path is None:
        if isinstance(sys.stdout, TextIOWrapper):
            sys.stdout.reconfigure(errors=narrow_errors())
        yield sys.stdout
        sys.stdout.flush()
    else:
        with (
            replacing(path) as new,
            new.open("w", encoding="utf-8", errors="backslashreplace") as file,
        ):
            yield file


def write_text(text: str, path: Path | None = None) -> None:
    """Write a text to stdout or a file, and end its last line."""
    with output(path) as file:
        file.write(text if text.endswith("\n") else f"{text}\n")


@contextmanager
def console(path: Path | None = None) -> Iterator[Console]:
    """A rich console on stdout or a file: coloured on a terminal only, no text read as markup.

    Without a terminal nothing is wrapped or cut, so that piped output can be searched by line.
    """
    from rich.console import Console

    with output(path) as file:
        screen = Console(
            file=file,
            force_terminal=None if path is None else False,
            highlight=False,
            markup=False,
            emoji=False,
        )
        if not screen.is_terminal:
            screen.width = _UNWRAPPED
        yield screen
