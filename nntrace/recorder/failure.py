"""An error of nntrace's own that ended tracing, and how it is reported: training goes on."""

import os
import traceback
from dataclasses import dataclass
from typing import Self

from nntrace.notices import say


@dataclass(frozen=True, slots=True)
class Failure:
    """An error that ended tracing.

    Attributes:
        where: the part of nntrace that failed.
        summary: the error in one line.
        traceback: the traceback as Python prints it.
        is_of_the_system: whether the system is to blame (a full disk) rather than nntrace's code.
    """

    where: str
    summary: str
    traceback: str
    is_of_the_system: bool

    @classmethod
    def of(cls, error: Exception, where: str) -> Self:
        """The failure for an error that was raised in `where`."""
        trace = "".join(traceback.format_exception(error))
        of_system = isinstance(error, OSError)
        return cls(where, f"{type(error).__name__}: {_said(error)}", trace, of_system)

    def __str__(self) -> str:
        return f"tracing stopped: {self.summary}"

    def announce(self) -> None:
        """Report the failure on stderr, with the traceback unless the system is to blame."""
        detail = "" if self.is_of_the_system else f"\n{self.traceback.rstrip()}"
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
