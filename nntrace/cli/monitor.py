"""`nntrace monitor`: the live terminal, which is a plug-in of the group `nntrace.monitors`."""

from collections.abc import Callable
from pathlib import Path

import click

from nntrace.errors import NntraceError

GROUP = "nntrace.monitors"


@click.command(name="monitor")
@click.argument("run", required=False, metavar="[RUN]")
def command(run: str | None) -> None:
    """Watch a run in the terminal, live.

    RUN is a path, the name of a run in ./nntrace-runs, or `latest`, the default. It only reads
    the run folder: leave and come back as you like, training never notices.

    \b
    Examples:
      nntrace monitor
      nntrace monitor runs/try7
    """
    from nntrace.runs import find_run

    path = find_run(run)
    show = _load_monitor()
    show(path)


def _load_monitor() -> Callable[[Path], None]:
    from importlib.metadata import entry_points

    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        try:
            monitor: Callable[[Path], None] = entry.load()
            return monitor
        except ModuleNotFoundError as error:
            raise NntraceError(
                f"the monitor needs {error.name}, which is not installed. "
                'Install it: pip install "nntrace[tui]".'
            ) from error
    raise NntraceError('no monitor is installed. Install one: pip install "nntrace[tui]".')
