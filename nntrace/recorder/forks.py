"""Calls methods in forked children without keeping their objects alive.

Python never releases a function registered for forks, so the function refers to the object weakly.
"""

import os
import weakref
from collections.abc import Callable


def in_forked_children(method: Callable[[], None]) -> None:
    """Call a bound method in every child that is forked while its object lives."""
    reference = weakref.WeakMethod(method)

    def forked() -> None:
        if (call := reference()) is not None:
            call()

    os.register_at_fork(after_in_child=forked)
