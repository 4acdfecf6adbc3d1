"""Threads beside the screen; none is cut off in the middle of a call when the program ends.

A daemon thread that still imports or computes while the interpreter shuts down ends the whole
process with an abort signal, so the end waits for it; not for ever, since a file system may hang.
"""

import atexit
import threading
from collections.abc import Callable
from typing import Final

_PATIENCE_SECONDS: Final = 10.0  # the rules take half of this over the largest trace


def in_background(
    work: Callable[..., object],
    *args: object,
    name: str,
    patience_seconds: float = _PATIENCE_SECONDS,
) -> threading.Thread:
    """Return a thread, not started yet, for which the end of the program waits."""

    def work_and_be_forgotten() -> None:
        try:
            work(*args)
        finally:
            atexit.unregister(wait)

    def wait() -> None:
        if thread.is_alive():
            thread.join(patience_seconds)

    thread = threading.Thread(target=work_and_be_forgotten, name=name, daemon=True)
    atexit.register(wait)
    return thread
