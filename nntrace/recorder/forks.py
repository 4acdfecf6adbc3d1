"""Calls methods around forks without keeping their objects alive.

Python never releases a function registered for forks, so the functions refer to the object weakly.
"""

import os
import weakref
from collections.abc import Callable


def in_forked_children(method: Callable[[], None]) -> None:
    """Call a bound method in every child that is forked while its object lives."""
    os.register_at_fork(after_in_child=_while_it_lives(method))


def in_parents_of_forks(method: Callable[[], None]) -> None:
    """Call a bound method in this process after each fork that it makes while its object lives."""
    os.register_at_fork(after_in_parent=_while_it_lives(method))


def _while_it_lives(method: Callable[[], None]) -> Callable[[], None]:
    reference = weakref.WeakMethod(method)

    def forked() -> None:
        if (call := reference()) is not None:
            call()

    return forked
