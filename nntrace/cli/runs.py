"""`nntrace runs`: lists the runs of a folder. Only manifests and the last step are read."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nntrace.cli.options import format_option
from nntrace.cli.output import console, note, write_text

if TYPE_CHECKING:
    from rich.table import Table

    from nntrace.runs.find import RunFolder


@click.command(name="runs")
@click.argument("folder", required=False, type=click.Path(path_type=Path))
@format_option("text", "json")
def command(folder: Path | None, form: str) -> None:
    """List the runs, newest first.

    FOLDER is by default ./nntrace-runs, or the configured one.

    \b
    Examples:
      nntrace runs
      nntrace runs /data/experiments --format json
    """
    from nntrace.config import load_config
    from nntrace.runs.find import list_runs
    from nntrace.text.json import json_text

    runs, unreadable = list_runs(load_config().runs_folder if folder is None else folder)
    for message in unreadable:
        note(message)
    rows = [_row(run) for run in runs]
    if form == "json":
        write_text(json_text(rows))
    elif rows:
        with console() as screen:
            screen.print(_table(rows))
    else:
        note(f"no runs in {folder or 'the runs folder'}. Record one: `nntrace run train.py`.")


def _row(run: "RunFolder") -> dict[str, Any]:
    from nntrace.errors import DamagedTraceError
    from nntrace.keep import bytes_on_disk
    from nntrace.trace import last_step

    manifest = run.manifest
    status = manifest.current_status(run.path)
    try:
        steps, loss = last_step(run.path)
        damage = None
    except DamagedTraceError as error:
        steps, loss, damage = None, None, str(error)
    return {
        "name": run.path.name,
        "path": str(run.path),
        "status": status.value,
        "is_whole": not manifest.lost_sight(status),
        "started_ns": manifest.started_ns,
        "steps": steps,
        "last_loss": loss,
        "overhead": manifest.overhead,
        "bytes_on_disk": bytes_on_disk(run.path),
        "damage": damage,
    }


def _table(rows: list[dict[str, Any]]) -> "Table":
    from rich.table import Table
    from rich.text import Text

    from nntrace.text import printable
    from nntrace.text.values import number, percent, size, when

    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("name", "status", "started"):
        table.add_column(heading, no_wrap=True, overflow="fold")
    for heading in ("steps", "last loss", "overhead", "size"):
        table.add_column(heading, no_wrap=True, justify="right")
    for row in rows:
        steps = "damaged" if row["damage"] else str(row["steps"])
        status = row["status"] if row["is_whole"] else f"{row['status']}, not traced to the end"
        cells = (row["name"], status, when(row["started_ns"]), steps)
        measured = (number(row["last_loss"]), percent(row["overhead"]), size(row["bytes_on_disk"]))
        table.add_row(*(Text(printable(cell)) for cell in (*cells, *measured)))
    return table
