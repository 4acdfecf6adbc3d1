"""`nntrace pack`: finished runs in little space."""

import click

from nntrace.cli.output import note, output


@click.command(name="pack")
@click.argument("runs", nargs=-1, required=True, metavar="RUN...")
@click.option("--round", "rounded", is_flag=True, help="Keep 8 significant bits of statistics.")
def command(runs: tuple[str, ...], rounded: bool) -> None:
    """Pack finished runs into Parquet files.

    Each stream becomes one file in place of its segments. Every command reads packed runs as
    before; so does any reader of Parquet. Every value is kept; with --round, statistics are
    rounded to 0.4 %, which is less than their sampling error: runs become about three times
    smaller, without it one and a half to two times.

    \b
    Examples:
      nntrace pack latest
      nntrace pack --round nntrace-runs/*
    """
    from nntrace.cli.values import size
    from nntrace.keep import pack
    from nntrace.runs import find_run
    from nntrace.text import printable

    for run in runs:
        path = find_run(run)
        packed = pack(path, rounded=rounded)
        with output() as file:
            file.write(f"{printable(str(path))}\n")
        sizes = f"{size(packed.before)} → {size(packed.after)}"
        note(f"packed {path}: {sizes}, {packed.factor:.1f}× smaller.")
