"""Gives the terminal back on SIGTERM before the process ends, and leaves if the terminal is gone.

If nobody sends SIGHUP (`nohup`, a session without a controlling terminal), the monitor would wait
in a busy loop for keys that never come.
"""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Final

_LEAVING_SECONDS: Final = 3.0
TERMINATED: Final = 128 + 15  # the exit code that shells give for a process ended by SIGTERM


def on_termination(act: Callable[[], None]) -> Callable[[], None]:
    """Call `act` on the running event loop when SIGTERM comes; return the undo.

    Signals belong to the main thread, and event loops handle them only on POSIX; elsewhere nothing
    is installed.
    """
    if os.name != "posix" or threading.current_thread() is not threading.main_thread():
        return lambda: None
    loop = asyncio.get_running_loop()
    before = signal.getsignal(signal.SIGTERM)
    loop.add_signal_handler(signal.SIGTERM, act)

    def undo() -> None:
        loop.remove_signal_handler(signal.SIGTERM)
        signal.signal(signal.SIGTERM, before)

    return undo


def has_terminal() -> bool:
    """Whether keys can still come: standard input is a terminal that exists."""
    return sys.__stdin__ is not None and sys.__stdin__.isatty()


class LostTerminal:
    """Leaves a terminal that is gone; a program that was started from the monitor goes on.

    Leaving restores the screen, and drawing may wait for ever on a terminal that accepts nothing:
    then the process ends without it.
    """

    def __init__(self, leave: Callable[[], object]) -> None:
        self._leave = leave
        self._end: threading.Timer | None = None

    def look(self) -> None:
        """Leave if the terminal is gone."""
        if self._end is None and not has_terminal():
            self._end = threading.Timer(_LEAVING_SECONDS, os._exit, (TERMINATED,))
            self._end.daemon = True
            self._end.start()
            self._leave()

    def was_left(self) -> None:
        """Note that the app has left the screen: nothing that follows needs a terminal."""
        if self._end is not None:
            self._end.cancel()
