"""Options that several commands share, declared once."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def format_option(*forms: str, what: str = "The output format.") -> Callable[[F], F]:
    """The option `--format`, passed as `form`; the first of `forms` is the default."""
    return click.option(
        "--format", "form", type=click.Choice(forms), default=forms[0], show_default=True, help=what
    )


def output_option(what: str = "Write to this file instead of stdout.") -> Callable[[F], F]:
    """The option `-o FILE`, passed as `target`; None when it is not given."""
    return click.option(
        "-o",
        "--output",
        "target",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help=what,
    )
