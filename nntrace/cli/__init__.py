"""The command line. `main` is the one place that decides what an error does.

Each command is a module of this package, imported only when it is used, because `nntrace run`
delays every training run: nothing heavier than click may be imported for it.
"""

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, Final, NoReturn

import click

from nntrace import __version__
from nntrace.errors import NntraceError, suggestion

BAD_INPUT: Final = 2
INTERRUPTED: Final = 130
BROKEN_PIPE: Final = 141

# In the order of a first session. Each is the attribute `command` of the module of that name.
COMMANDS: Final = (
    "run",
    "monitor",
    "stream",
    "check",
    "diagnose",
    "replay",
    "report",
    "recipe",
    "diff",
    "sql",
    "export",
    "pack",
    "clean",
    "rules",
    "runs",
    "show",
)


class LazyGroup(click.Group):
    """A group whose commands are modules, each loaded when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of the commands, in the order of a first session."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load one command."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"nntrace.cli.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Resolve the command; an unknown name raises an error with a suggestion."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            hint = suggestion(args[0], COMMANDS) or " `nntrace --help` lists the commands."
            if args[0].endswith(".py"):
                hint = f" To trace a script: nntrace run {args[0]}"
            raise click.UsageError(f"there is no command {args[0]!r}.{hint}", ctx)
        return super().resolve_command(ctx, args)


@click.group(
    cls=LazyGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="A RUN is a path, the name of a run in ./nntrace-runs, or `latest`.",
)
@click.version_option(__version__, prog_name="nntrace", message="%(prog)s %(version)s")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """See inside neural-network training while it runs, and learn what is wrong with it.

    \b
    nntrace run train.py     train, traced; the script stays as it is
    nntrace monitor          watch the newest run in the terminal
    nntrace diagnose latest  what is wrong with it, most likely cause first
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit with its code: 2 for bad input, with one line on stderr."""
    sys.exit(_guarded(args))


def _guarded(args: Sequence[str] | None) -> int:
    try:
        code: Any = cli.main(args, prog_name="nntrace", standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.Abort:
        return INTERRUPTED
    except click.ClickException as error:
        return _complain(_usage_line(error))
    except NntraceError as error:
        return _complain(str(error))
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        _forget_stdout()
        return BROKEN_PIPE
    except OSError as error:
        return _complain(_describe(error))
    return code if isinstance(code, int) else 0


def _complain(message: str) -> int:
    from nntrace.cli.output import note

    note(message)
    return BAD_INPUT


def _usage_line(error: click.ClickException) -> str:
    """Click's message in nntrace's form: one sentence on one line, and where to find help."""
    message = " ".join(error.format_message().split())
    message = message[:1].lower() + message[1:]
    message += "" if message.endswith((".", "?", "!")) else "."
    context = error.ctx if isinstance(error, click.UsageError) else None
    if context is None or context.command is cli:
        return message
    return f"{message} `{context.command_path} --help` shows the usage."


def _describe(error: OSError) -> str:
    reason = error.strerror or str(error) or type(error).__name__
    if isinstance(error, FileNotFoundError) and isinstance(error.filename, str):
        folder = os.path.dirname(error.filename) or "."
        if not os.path.isdir(folder):
            reason = f"there is no folder {folder}"
    return f"{error.filename}: {reason}." if error.filename else f"{reason}."


def _forget_stdout() -> None:
    """Redirect stdout to the null device, so that the interpreter exits without a pipe error."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):
        return
