"""Finds objects that are older than the trace, among all that Python's garbage collector tracks.

No other thread may run meanwhile: CPython raises SystemError in a thread that fills a tuple from a
generator if anybody else holds a reference to that tuple.
"""

import gc
import sys
import time
from typing import TypeVar

T = TypeVar("T")

_ALONE_SECONDS = 1.0  # far longer than the scan


def living(kind: type[T]) -> list[T]:
    """Every instance of a class; takes some 10 ms.

    Other threads are kept out by a long switch interval: a waiting thread requests the lock one
    interval after the last switch, at the earliest, and sleeping forces such a switch first.
    """
    interval = sys.getswitchinterval()
    time.sleep(0)
    sys.setswitchinterval(_ALONE_SECONDS)
    try:
        # type(), not isinstance(): a lazy proxy's __class__ may run user code.
        return [found for found in gc.get_objects() if issubclass(type(found), kind)]
    finally:
        sys.setswitchinterval(interval)
