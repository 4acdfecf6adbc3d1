"""Options that several commands have, declared once."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def format_option(*forms: str, what: str = "The form of the output.") -> Callable[[F], F]:
    """`--format`, handed on as `form`; the first of `forms` is the default."""
    return click.option(
        "--format",
        "form",
        type=click.Choice(forms),
        default=forms[0],
        show_default=True,
        help=what,
    )


def output_option(what: str = "Write there instead of to stdout.") -> Callable[[F], F]:
    """`-o FILE`, handed on as `target`; None when it is not given."""
    return click.option(
        "-o",
        "--output",
        "target",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help=what,
    )
