"""`os._exit` ends a process without asking anyone: here what was recorded is written before."""

import contextlib
import os
from collections.abc import Callable
from typing import NoReturn

from nntrace.adapter.patching import Undo, replace


def before_hard_exit(write: Callable[[int], object]) -> Undo:
    """Call `write(exit_code)` where this process, and no child forked from it, calls `os._exit`.

    Whatever `write` does the process then ends, with its own exit code.
    """
    original, process = os._exit, os.getpid()

    def _exit(status: int) -> NoReturn:
        if isinstance(status, int) and os.getpid() == process:
            with contextlib.suppress(BaseException):  # an interrupt, too: it ends now
                write(status)
        original(status)

    return replace(os, "_exit", _exit)
