"""Speeds up the start: modules of closed pages are loaded later, garbage is collected later.

Nearly all objects that are made before the first screen, and when a page is opened for the first
time, stay until the end. Collecting meanwhile takes a tenth of the start; later every full
collection, on whichever thread, would visit all of them and delay the screen.
"""

import gc
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Final

_LATER: Final = ("pyarrow.compute", "nntrace_tui.screens.runs", "nntrace_tui.screens.finding")


@contextmanager
def without_collection() -> Iterator[None]:
    """Disable garbage collection until `spare_what_stands`; restore it afterwards."""
    gc.disable()
    try:
        yield
    finally:
        gc.unfreeze()
        gc.enable()


def spare_what_stands() -> None:
    """Enable garbage collection, but exclude the objects that exist already."""
    gc.freeze()
    gc.enable()


def load_rest(loaded: Callable[[], None]) -> None:
    """Import what the other pages need in a thread, then call `loaded`."""
    from nntrace_tui.screens import load
    from nntrace_tui.view import Page

    def load_all() -> None:
        try:
            for page in Page:
                load(page)
            for name in _LATER:
                import_module(name)
        finally:
            loaded()

    threading.Thread(target=load_all, name="nntrace-startup", daemon=True).start()
