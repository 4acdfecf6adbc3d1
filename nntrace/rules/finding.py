"""What a rule yields: a `Finding`, or `Skipped` when it cannot judge."""

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from nntrace.trace import Site


class Severity(StrEnum):
    """How bad. ERROR: the run is wrong; WARNING: probably wrong; INFO: a fact, never blame."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"

    @property
    def weight(self) -> int:
        """Larger is worse."""
        return {"info": 0, "warning": 1, "error": 2}[self.value]


@dataclass(frozen=True, slots=True)
class Location:
    """A line of the user's code."""

    file: str
    line: int
    source: str | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """One pattern found in a run.

    A rule gives what it saw; `code` and `name`, and where left out `severity`, `advice` and
    `location`, are filled in by `Rule.run`. `steps` is the first and the last step at which the
    pattern holds. `evidence` maps names to plain numbers, strings, or lists of them. `not_from` are
    rules that explain this pattern elsewhere and do not here; `explains` are those whose pattern it
    explains here and not elsewhere. `is_by_the_way`: nothing has to be done, so it comes last.
    """

    message: str
    site: Site | None = None
    steps: tuple[int, int] = (0, 0)
    evidence: dict[str, Any] = field(default_factory=dict)
    severity: Severity | None = None
    advice: str = ""
    location: Location | None = None
    code: str = ""
    name: str = ""
    explained_by: str | None = None
    not_from: tuple[str, ...] = ()
    explains: tuple[str, ...] = ()
    is_by_the_way: bool = False

    @property
    def level(self) -> Severity:
        """The severity, once `Rule.run` has filled it in."""
        return self.severity or Severity.INFO

    @property
    def identity(self) -> tuple[str, str, str]:
        """Code, site's path and role: what stays the same from one run to the next."""
        if self.site is None:
            return (self.code, "", "")
        return (self.code, self.site.path, self.site.role.value)


@dataclass(frozen=True, slots=True)
class Suppressed:
    """A finding that is not reported, and why: it is counted, never forgotten."""

    finding: Finding
    reason: str


@dataclass(frozen=True, slots=True)
class Skipped:
    """A rule that could not run, and why: silence is never mistaken for health."""

    reason: str
    code: str = ""

    @property
    def is_for_want_of_data(self) -> bool:
        """Whether more steps or samples would do: so say reasons `needs 50 losses, has 35`."""
        return re.match(r"needs \d+ .*\bhas \d+", self.reason) is not None
