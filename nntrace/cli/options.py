"""Options that several commands share, declared once."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

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


def complete_run(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> "list[CompletionItem]":
    """What a shell offers for RUN: `latest`, the runs by name, newest first, or else folders."""
    from click.shell_completion import CompletionItem

    from nntrace.config import load_config
    from nntrace.errors import NntraceError
    from nntrace.runs.find import LATEST, list_runs

    try:
        names = [run.path.name for run in list_runs(load_config().runs_folder)[0]]
    except (NntraceError, OSError):  # a key that is pressed prints no message
        names = []
    known = [CompletionItem(name) for name in (LATEST, *names) if name.startswith(incomplete)]
    return known or [CompletionItem(incomplete, type="dir")]
