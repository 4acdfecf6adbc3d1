"""How the program ends its process itself.

`os._exit` asks no exit handler. `sys.exit` does, but Python has forgotten its code by then.
"""

import contextlib
import functools
import os
import sys
import threading
from _sitebuiltins import Quitter
from collections.abc import Callable
from typing import Any, NoReturn

from nntrace.adapter.patching import Function, Undo, replace


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


def failure_of(end: BaseException) -> str | None:
    """What an exception that ends the program says went wrong; None for an exit code of zero."""
    if not isinstance(end, SystemExit):
        said = str(end)
        return f"{type(end).__name__}: {said}" if said else type(end).__name__
    if end.code is None or (isinstance(end.code, int) and end.code == 0):
        return None
    # Python prints any other object, and ends with 1: to print it a second time may take long.
    code = end.code if isinstance(end.code, int | str) else f"({type(end.code).__name__})"
    return f"SystemExit: {code}"


class Exit:
    """The exit that the main thread asked for by `sys.exit`, `exit` or `quit`."""

    def __init__(self) -> None:
        self._error: str | None = None
        self._plain: str | None = None
        self._ends = False

    @property
    def error(self) -> str | None:
        """What it says went wrong: None after an exit code of zero, or if the program went on."""
        return self._error if self._ends else None

    def watch(self) -> tuple[Undo, ...]:
        """Note the exits from now on."""
        return (
            replace(sys, "exit", self._noting(sys.exit)),
            replace(Quitter, "__call__", self._noting(Quitter.__call__)),
        )

    def _noting(self, original: Function) -> Function:
        @functools.wraps(original)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            try:
                return original(*args, **kwargs)
            except SystemExit as end:
                if threading.current_thread() is threading.main_thread():
                    self._note(end)
                raise

        return wrapper

    def _note(self, end: SystemExit) -> None:
        plain = failure_of(end)
        reason = None if end.__context__ is None else failure_of(end.__context__)
        # A process of multiprocessing's asks a second time, with the code that its target left.
        if plain is None or plain != self._plain or reason is not None:
            self._error = plain and (reason or plain)
        self._plain, self._ends = plain, True
        end.__dict__["_nntrace"] = _Mark(self._caught)

    def _caught(self) -> None:
        self._ends = False


class _Mark:
    """Goes with the exception that holds it, and tells where this is not the program's end."""

    def __init__(self, caught: Callable[[], object]) -> None:
        self._caught = caught

    def __del__(self) -> None:
        try:
            sys._getframe(1)
        except ValueError:  # nothing of the program runs any more
            return
        self._caught()

    def __reduce__(self) -> tuple[type, tuple[()]]:
        return object, ()  # a worker may send the exception to another process
