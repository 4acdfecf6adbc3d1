"""What a start need not wait for: modules of pages that are not open, and the garbage collector.

Nearly all that is made until the first screen stands, and whenever a page is opened for the first
time, stays until the end. Collecting meanwhile takes a tenth of the start; later every full
collection, on whichever thread it falls, would go through all of it and hold up the screen.
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
    """No garbage collection until `spare_what_stands`; the former state afterwards."""
    gc.disable()
    try:
        yield
    finally:
        gc.unfreeze()
        gc.enable()


def spare_what_stands() -> None:
    """Collect garbage from now on, but never go through what is there already."""
    gc.freeze()
    gc.enable()


def load_rest(loaded: Callable[[], None]) -> None:
    """Import beside the open screen what the other pages need, then say so."""
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
