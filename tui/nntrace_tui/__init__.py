"""The terminal monitor: an entry of the group `nntrace.monitors`.

Importing it is cheap: Textual is imported only when `run` is called.
"""

import sys
from collections.abc import Callable

from nntrace.errors import NntraceError
from nntrace.extras import require_extra
from nntrace.manifest import Manifest
from nntrace.watch import Watch

__all__ = ["run"]


def run(watch: Watch) -> None:
    """Show a run until the user detaches.

    Raises:
        NotARunError, SchemaVersionError: the folder is not a run that can be read.
        NntraceError: there is no terminal to draw on, or Textual is not installed.
    """
    path = watch.run
    Manifest.read(path)
    if not (_is_terminal(sys.__stdin__) and _is_terminal(sys.__stderr__)):
        raise NntraceError(
            "the monitor needs a terminal, and input or output is not one. "
            f"`nntrace show {path}` and `nntrace diagnose {path}` print text."
        )
    from nntrace_tui.startup import spare_what_stands, without_collection

    with without_collection():
        _show(watch, spare_what_stands)


def _show(watch: Watch, settled: Callable[[], None]) -> None:
    require_extra("tui", "the monitor")
    from nntrace_tui.app import MonitorApp

    app = MonitorApp(watch, settled=settled)
    app.run()
    app.lost_terminal.was_left()
    if app.return_code:  # Textual has printed what went wrong
        raise SystemExit(app.return_code)


def _is_terminal(stream: object) -> bool:
    isatty = getattr(stream, "isatty", None)
    return bool(isatty and isatty())
