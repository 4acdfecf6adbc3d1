"""`nntrace clean`: deletes old runs, after asking."""

from __future__ import annotations

import shutil
import sys
import time
from functools import partial
from pathlib import Path

import click

from nntrace.cli.output import note, output
from nntrace.errors import NntraceError


@click.command(name="clean")
@click.argument("folder", required=False, type=click.Path(path_type=Path))
@click.option("--older-than", metavar="AGE", help="Delete only runs older than 12h, 30d, 2w.")
@click.option("--keep", type=click.IntRange(min=0), metavar="N", help="Keep the N newest runs.")
@click.option("--dry-run", is_flag=True, help="Only show what would be deleted.")
@click.option("-y", "--yes", is_flag=True, help="Delete without asking.")
def command(
    folder: Path | None, older_than: str | None, keep: int | None, dry_run: bool, yes: bool
) -> None:
    """Delete old runs and checks. Those that are still going are never deleted.

    FOLDER is by default ./nntrace-runs, or the configured one. With --older-than and --keep, only
    runs that meet both conditions are deleted. The folders of `nntrace check` are chosen in the
    same way, counted by themselves.

    \b
    Examples:
      nntrace clean --older-than 30d
      nntrace clean --keep 20 --dry-run
    """
    from nntrace.config import load_config
    from nntrace.keep import bytes_on_disk, runs_to_delete
    from nntrace.keep.clean import parse_age
    from nntrace.runs.find import list_checks, list_runs
    from nntrace.text import plural, printable
    from nntrace.text.values import size

    if older_than is None and keep is None:
        raise NntraceError("choose the runs to delete: --older-than 30d, --keep 20, or both.")
    age = None if older_than is None else parse_age(older_than)
    folder = load_config().runs_folder if folder is None else folder
    choose = partial(runs_to_delete, now_ns=time.time_ns(), older_than_s=age, keep=keep)
    runs = [run.path for run in choose(list_runs(folder)[0])]
    checks = [baseline.path.parent for baseline in choose(list_checks(folder))]
    checks = [check for check in checks if not _is_going(check)]
    chosen = [*runs, *checks]
    if not chosen:
        note("there is nothing to delete.")
        return
    total = size(sum(bytes_on_disk(path) for path in chosen))
    with output() as file:
        file.writelines(f"{printable(str(path))}\n" for path in chosen)
    counts = [
        plural(len(paths), noun) for paths, noun in ((runs, "run"), (checks, "check")) if paths
    ]
    runs_word = f"{' and '.join(counts)}, {total}"
    if dry_run:
        note(f"would delete {runs_word}.")
        return
    if not yes:
        if not sys.stdin.isatty():
            raise NntraceError(f"nothing deleted: give --yes to delete {runs_word}.")
        click.confirm(f"Delete {runs_word}?", abort=True, err=True)
    for path in chosen:
        try:
            shutil.rmtree(path)
        except PermissionError as error:  # whose own path is relative to some folder of the run
            raise NntraceError(f"{path} cannot be deleted: {error.strerror}.") from error
        path.with_name(f"{path.name}.log").unlink(missing_ok=True)
    note(f"deleted {runs_word}.")


def _is_going(check: Path) -> bool:
    """Whether an experiment of a check still runs."""
    from nntrace.runs.find import list_runs
    from nntrace.schema import RunStatus

    runs, _ = list_runs(check)
    return any(run.manifest.current_status(run.path) is RunStatus.RUNNING for run in runs)
