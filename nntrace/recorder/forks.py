"""What is done in a forked child, for as long as the object it is done with lives.

Python keeps what it calls at a fork for good; held weakly, it keeps nothing else.
"""

import os
import weakref
from collections.abc import Callable


def in_forked_children(method: Callable[[], None]) -> None:
    """Call this method of an object in every child that is forked while the object lives."""
    reference = weakref.WeakMethod(method)

    def forked() -> None:
        if (call := reference()) is not None:
            call()

    os.register_at_fork(after_in_child=forked)
