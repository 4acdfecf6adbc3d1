"""SIGTERM while the monitor has the terminal: it must be given back before the process ends.

And the end of the terminal itself: where nobody sends SIGHUP (`nohup`, a session without a
controlling terminal), the monitor would wait for keys that never come, with all its might.
"""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Final

TERMINATED: Final = 128 + 15  # the exit code of a process that SIGTERM has ended, as shells give it


def on_termination(act: Callable[[], None]) -> Callable[[], None]:
    """Call `act` on the running event loop when SIGTERM comes; the function that undoes this.

    Signals are the main thread's, and an event loop hears them on POSIX only; elsewhere nothing
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
    """Whether keys can still come: the terminal at standard input is there."""
    return sys.__stdin__ is not None and sys.__stdin__.isatty()
