"""The interactive shell of `nntrace sql`: a statement ends with a semicolon or the end of input."""

import sys
from contextlib import suppress
from typing import Final

import duckdb
from rich.console import Console
from rich.text import Text

from nntrace.sql.database import VIEWS, complaint
from nntrace.sql.output import write_table
from nntrace.text import printable

_HELP: Final = "Statements end with ;  .tables  .schema NAME  .quit"


def run_shell(connection: duckdb.DuckDBPyConnection, screen: Console) -> None:
    """Read statements from stdin and show their results until the input ends."""
    interactive = sys.stdin.isatty()
    if interactive:
        with suppress(ImportError):  # line editing and history, where the platform has them
            import readline  # noqa: F401  its import is what makes `input` use it
        screen.print(Text(f"{', '.join(VIEWS)}\n{_HELP}", "dim"))
    waiting = ""
    while True:
        try:
            prompt = ("nntrace> " if not waiting else "    ...> ") if interactive else ""
            line = input(prompt)
        except EOFError:
            break
        except KeyboardInterrupt:
            screen.print()
            waiting = ""
            continue
        if not waiting and line.strip().startswith("."):
            if line.strip() in (".quit", ".exit"):
                return
            _dot(connection, screen, line.strip())
            continue
        waiting += line + "\n"
        if line.rstrip().endswith(";"):
            _show(connection, screen, waiting)
            waiting = ""
    if waiting.strip():
        _show(connection, screen, waiting)


def _dot(connection: duckdb.DuckDBPyConnection, screen: Console, line: str) -> None:
    name, _, argument = line.partition(" ")
    if name == ".tables":
        screen.print(Text("\n".join(VIEWS)))
    elif name == ".schema" and argument in VIEWS:
        _show(connection, screen, f"DESCRIBE {argument}")
    else:
        screen.print(Text(_HELP, "dim"))


def _show(connection: duckdb.DuckDBPyConnection, screen: Console, statement: str) -> None:
    try:
        result = connection.execute(statement)
        columns = [column[0] for column in result.description or ()]
        write_table(screen, columns, result.fetchall())
    except duckdb.Error as error:
        screen.print(Text(printable(complaint(error)), "red"))
