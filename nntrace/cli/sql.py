"""`nntrace sql`: queries one run or many."""

from __future__ import annotations

from pathlib import Path

import click

from nntrace.cli.options import format_option, output_option
from nntrace.cli.output import console, output
from nntrace.errors import NntraceError


@click.command(name="sql")
@click.argument("words", nargs=-1, metavar="[RUN]... [QUERY]")
@format_option("table", "csv", "json")
@output_option()
def command(words: tuple[str, ...], form: str, target: Path | None) -> None:
    """Query runs with SQL; without a QUERY a shell opens.

    The last word is the query when it holds a blank; the other words are runs, by default the
    latest. The views are steps, stats, sites, events, data, losses, histograms, scalars and
    tensors, each with the columns `run` and `rank`; and layers, which is stats with the names of
    the sites.

    \b
    Examples:
      nntrace sql "SELECT step, loss FROM steps ORDER BY loss DESC LIMIT 5"
      nntrace sql good bad "SELECT run, max(grad_norm) FROM steps GROUP BY run"
      nntrace sql latest --format csv "SELECT * FROM layers WHERE role = 'update'"
      nntrace sql latest
    """
    from nntrace.extras import require_extra
    from nntrace.runs.find import find_run
    from nntrace.trace import Trace

    require_extra("sql", "`nntrace sql`")
    from nntrace.sql import QueryError, complaint, connect, write_csv, write_json, write_table

    asked = bool(words) and len(words[-1].split()) > 1 and not Path(words[-1]).exists()
    query = words[-1] if asked else None
    runs = words if query is None else words[:-1]
    connection = connect([Trace.open(find_run(run)) for run in runs or ("latest",)])
    if query is None:
        from nntrace.sql.shell import run_shell

        with console(target) as screen:
            run_shell(connection, screen)
        return
    try:
        result = connection.execute(query)
        columns = [column[0] for column in result.description or ()]
        rows = result.fetchall()
    except QueryError as error:
        raise NntraceError(complaint(error)) from error
    if form == "table":
        with console(target) as screen:
            write_table(screen, columns, rows)
        return
    with output(target) as file:
        (write_csv if form == "csv" else write_json)(file, columns, rows)
