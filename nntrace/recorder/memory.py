"""How much memory this process holds, at the price of one system call."""

import os
from typing import Final

_STATM: Final = "/proc/self/statm"
_ENOUGH: Final = 256  # bytes, for seven numbers


class ResidentMemory:
    """Reads one small file of the system; kept open, as opening it takes ten times as long.

    In a forked child it would report the parent's.
    """

    def __init__(self, path: str = _STATM) -> None:
        self._path = path
        self._file: int | None = None
        self._identity: tuple[int, int] | None = None
        self._is_closed = False

    def read(self) -> int | None:
        """The resident memory of the process in bytes; None once closed.

        None, too, where the system does not tell it cheaply: everywhere but on Linux.
        """
        if self._is_closed:
            return None
        try:
            if self._file is None:
                self._file = os.open(self._path, os.O_RDONLY)
                self._identity = _identity(self._file)
            pages = os.pread(self._file, _ENOUGH, 0).split()[1]
            return int(pages) * os.sysconf("SC_PAGE_SIZE")
        except (OSError, ValueError, IndexError, AttributeError):  # Windows has no pread
            return None

    def close(self) -> None:
        """Close the file, unless the program has done so: its number may be another's by now."""
        file, self._file, self._is_closed = self._file, None, True
        try:
            if file is not None and _identity(file) == self._identity:
                os.close(file)
        except OSError:
            pass


def _identity(file: int) -> tuple[int, int]:
    status = os.fstat(file)
    return status.st_dev, status.st_ino
