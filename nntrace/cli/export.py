"""`nntrace export`: writes a run in the formats of other tools."""

from __future__ import annotations

from pathlib import Path

import click

from nntrace.cli.options import complete_run
from nntrace.cli.output import note, write_text
from nntrace.export import FORMS, load


@click.command(name="export")
@click.argument("run", required=False, metavar="[RUN]", shell_complete=complete_run)
@click.option(
    "--to", "form", type=click.Choice(tuple(FORMS)), required=True, help="The format to write."
)
@click.option(
    "-o",
    "--output",
    "target",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="The folder to write to.  [default: RUN-FORMAT, such as run1-csv]",
)
def command(run: str | None, form: str, target: Path | None) -> None:
    """Write a run in the format of another tool.

    The formats: `tensorboard`, event files with scalars and histograms; `parquet`, the streams,
    partitioned by run and rank; `csv`, one file per stream; `wandb`, an offline run to sync.

    \b
    Examples:
      nntrace export latest --to tensorboard -o logs
      nntrace export runs/try7 --to parquet -o dataset
    """
    from nntrace.runs.find import find_run
    from nntrace.trace import Trace

    path = find_run(run)
    exporter = load(form)
    trace = Trace.open(path)
    folder = target or Path(f"{path.name}-{form}")
    try:
        written = exporter(trace, folder)
    except OSError as error:  # on a full disk the system does not say what was written to
        error.filename = error.filename or str(folder)
        raise
    write_text(str(folder))
    note(f"wrote {written} values. {FORMS[form].format(folder)}")
