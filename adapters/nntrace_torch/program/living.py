"""Finds objects that were made before nntrace came, among all that Python's collector knows.

No other thread runs meanwhile: a tuple that another thread is filling from a generator cannot be
finished as long as anybody else refers to it (CPython raises SystemError there).
"""

import gc
import sys
import time
from typing import TypeVar

T = TypeVar("T")

_ALONE_SECONDS = 1.0  # far longer than the scan


def living(kind: type[T]) -> list[T]:
    """Every instance of a class; some 10 ms.

    A thread that waits to run asks for it one switch interval after the last change of threads, at
    the earliest: here is a change, and then the interval is long.
    """
    interval = sys.getswitchinterval()
    time.sleep(0)
    sys.setswitchinterval(_ALONE_SECONDS)
    try:
        # type(), not isinstance(): a lazy proxy's __class__ may run user code.
        return [found for found in gc.get_objects() if issubclass(type(found), kind)]
    finally:
        sys.setswitchinterval(interval)
