"""What a rule yields: a `Finding`, or `Skipped` if it cannot judge."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from nntrace.trace import Site


class Severity(StrEnum):
    """How bad it is. ERROR: the run is wrong; WARNING: it probably is; INFO: worth knowing."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"

    @property
    def weight(self) -> int:
        """The rank of the severity; larger is worse."""
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

    A rule gives what it saw; `Rule.run` fills in `code` and `name`, and also `severity`, `advice`
    and `location` if the rule leaves them out.

    Attributes:
        message: what happened, in one sentence.
        site: where it happened, if that is one site.
        steps: the first and the last step at which the pattern holds.
        evidence: plain numbers, strings, or lists of them, by name.
        explained_by: the code of the root cause; set by the diagnosis.
        not_explained_by: rules that usually explain this pattern, but not in this run.
        explains: rules whose pattern this one explains in this run, but not usually.
        needs_no_action: whether nothing has to be done, so that it is listed last.
        harms_run: whether this run suffers from it; if not, it explains nothing.
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
    not_explained_by: tuple[str, ...] = ()
    explains: tuple[str, ...] = ()
    needs_no_action: bool = False
    harms_run: bool = True

    @property
    def level(self) -> Severity:
        """The severity, once `Rule.run` has filled it in."""
        return self.severity or Severity.INFO

    @property
    def identity(self) -> tuple[str, str, str]:
        """Code, site's path and role, which stay the same from one run to the next."""
        if self.site is None:
            return (self.code, "", "")
        return (self.code, self.site.path, self.site.role.value)


@dataclass(frozen=True, slots=True)
class Suppressed:
    """A finding that is counted but not reported, and the reason."""

    finding: Finding
    reason: str


@dataclass(frozen=True, slots=True)
class Skipped:
    """A rule that could not run, and why: silence is never mistaken for health.

    Attributes:
        too_few: whether a longer or more densely sampled run would help; see the function
            `too_few`.
    """

    reason: str
    code: str = ""
    too_few: bool = False


def too_few(reason: str) -> Skipped:
    """Skip a rule for too few steps or samples; `reason` is like `needs 50 losses, has 35`."""
    return Skipped(reason, too_few=True)
