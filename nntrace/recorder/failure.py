"""An error of nntrace's own that ended tracing, and how it is reported: training goes on."""

import os
import traceback
from dataclasses import dataclass
from typing import Self

from nntrace.notices import say

_SEVERAL_THREADS = (
    "several threads of the program train, and nntrace follows one training at a time; "
    "in processes of their own each would be traced"
)


@dataclass(frozen=True, slots=True)
class Failure:
    """An error that ended tracing.

    Attributes:
        where: the part of nntrace that failed.
        summary: the error in one line.
        traceback: the traceback as Python prints it.
        is_explained: whether the summary says all: the system is to blame (a full disk), or what
            several threads trained at once was taken for one training.
    """

    where: str
    summary: str
    traceback: str
    is_explained: bool

    @classmethod
    def of(cls, error: Exception, where: str, *, in_several_threads: bool = False) -> Self:
        """The failure for an error that was raised in `where`."""
        trace = "".join(traceback.format_exception(error))
        summary = f"{type(error).__name__}: {_said(error)}"
        of_system = isinstance(error, OSError)
        if in_several_threads and not of_system:
            summary = f"{_SEVERAL_THREADS} ({summary})"
        return cls(where, summary, trace, of_system or in_several_threads)

    def __str__(self) -> str:
        return f"tracing stopped: {self.summary}"

    def announce(self) -> None:
        """Report the failure on stderr, with the traceback unless the summary says all."""
        detail = "" if self.is_explained else f"\n{self.traceback.rstrip()}"
        say(f"tracing stopped in {self.where}: {self.summary}. Training goes on.{detail}")

    def payload(self) -> dict[str, str]:
        """The payload of the `error` event."""
        return {"where": self.where, "error": self.summary, "traceback": self.traceback}


def _said(error: Exception) -> str:
    """What the error says; of the system's, without the words of the library that met it."""
    if not isinstance(error, OSError) or error.errno is None:
        return str(error)
    place = f": {error.filename}" if error.filename else ""
    return f"{os.strerror(error.errno)}{place}"
