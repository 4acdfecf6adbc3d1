"""An error of nntrace's own that ended tracing, and how it is told: training goes on."""

import traceback
from dataclasses import dataclass
from typing import Self

from nntrace.notices import say


@dataclass(frozen=True, slots=True)
class Failure:
    """Where it happened, what it was in a line, and how Python shows it.

    Attributes:
        is_of_the_system: whether nntrace's code has no part in it: a full disk.
    """

    where: str
    summary: str
    traceback: str
    is_of_the_system: bool

    @classmethod
    def of(cls, error: Exception, where: str) -> Self:
        """That of an error, which was raised in `where`."""
        trace = "".join(traceback.format_exception(error))
        summary = f"{type(error).__name__}: {error}"
        return cls(where, summary, trace, isinstance(error, OSError))

    def __str__(self) -> str:
        return f"tracing stopped: {self.summary}"

    def announce(self) -> None:
        """Tell the user, once."""
        detail = "" if self.is_of_the_system else f"\n{self.traceback.rstrip()}"
        say(f"tracing stopped in {self.where}: {self.summary}. Training goes on.{detail}")

    def payload(self) -> dict[str, str]:
        """What the event of it holds."""
        return {"where": self.where, "error": self.summary, "traceback": self.traceback}
