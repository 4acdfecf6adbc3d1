"""What a start need not wait for: modules of pages that are not open, and the garbage collector.

Nearly all that is made until the first screen stands stays until the end. Collecting meanwhile
takes a tenth of the start; later every full collection, on whichever thread it falls, would go
through all of it and hold up the screen.
"""

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Final

from nntrace_tui.view import Page

_LATER: Final = ("pyarrow.compute", "nntrace_tui.screens.runs", "nntrace_tui.screens.finding")


@contextmanager
def without_collection() -> Iterator[None]:
    """No garbage collection until `when_painted`; as it was, afterwards."""
    gc.disable()
    try:
        yield
    finally:
        gc.unfreeze()
        gc.enable()


def when_painted() -> None:
    """Load the rest beside the open screen, then collect garbage, but only what is new."""
    threading.Thread(target=_load_rest, name="nntrace-startup", daemon=True).start()


def _load_rest() -> None:
    from nntrace_tui.screens import load

    try:
        for page in Page:
            load(page)
        for name in _LATER:
            import_module(name)
    finally:
        if not gc.isenabled():
            gc.freeze()
            gc.enable()
