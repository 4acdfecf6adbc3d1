"""Chooses the runs to delete; never one that is running."""

import re
from collections.abc import Sequence
from typing import Final

from nntrace.errors import NntraceError
from nntrace.runs.find import RunFolder
from nntrace.schema import RunStatus

_SECONDS: Final = {"h": 3600, "d": 86_400, "w": 7 * 86_400}


def runs_to_delete(
    runs: Sequence[RunFolder], *, now_ns: int, older_than_s: float | None, keep: int | None
) -> list[RunFolder]:
    """The runs to delete: those that no condition spares and that are not running.

    Args:
        runs: the runs, newest first.
        now_ns: the time now, in nanoseconds since 1970.
        older_than_s: spare runs that began within this many seconds; None spares none.
        keep: spare this many of the newest runs; None spares none.
    """
    return [
        run
        for number, run in enumerate(runs)
        if (keep is None or number >= keep)
        and (older_than_s is None or now_ns - run.manifest.started_ns > older_than_s * 1e9)
        and run.manifest.current_status(run.path) is not RunStatus.RUNNING
    ]


def parse_age(text: str) -> float:
    """Parse an age such as `30d`, `12h` or `2w` as seconds.

    Raises:
        NntraceError: the text is not an age.
    """
    match = re.fullmatch(r"\s*([0-9]{1,9}(?:\.[0-9]{1,9})?)\s*([hdw])\s*", text)
    if match is None:
        raise NntraceError(
            f"{text!r} is not an age: give hours, days or weeks, as in 12h, 30d or 2w."
        )
    return float(match[1]) * _SECONDS[match[2]]
