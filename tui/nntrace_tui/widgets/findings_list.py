"""The list of findings: a likely cause first, its symptoms indented below it."""

from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.widgets import OptionList

from nntrace.rules import Finding, Severity, Skipped
from nntrace.text import plural
from nntrace_tui.literal import literal
from nntrace_tui.themes import Palette, palette


class FindingsList(OptionList):
    """A list of findings; Enter opens the details of one."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "select", "Details")]

    def __init__(self) -> None:
        super().__init__(markup=False)
        self.border_title = "Findings · diagnosing …"
        self._findings: tuple[Finding, ...] | None = None
        self._theme = ""

    def show(self, findings: tuple[Finding, ...] | None, skipped: tuple[Skipped, ...]) -> None:
        """Update the list; the highlight stays on the same finding."""
        if findings is None:
            return
        self.border_title = _title(findings, len({skip.code for skip in skipped}))
        if (findings, self.app.theme) == (self._findings, self._theme):
            return
        chosen = self.finding_at(self.highlighted)
        self._findings, self._theme = findings, self.app.theme
        colours = palette(self.app)
        self.clear_options()
        self.add_options([summary(finding, colours) for finding in findings])
        self.highlighted = self._position_of(chosen) if findings else None

    def finding_at(self, index: int | None) -> Finding | None:
        """Return the finding on a line, None where there is none."""
        if index is None or self._findings is None or index >= len(self._findings):
            return None
        return self._findings[index]

    def _position_of(self, finding: Finding | None) -> int:
        if finding is None:
            return 0
        wanted = (finding.code, finding.site)
        keys = [(other.code, other.site) for other in self._findings or ()]
        return keys.index(wanted) if wanted in keys else 0


def summary(finding: Finding, colours: Palette) -> Text:
    """Return a finding in one line: severity, code and message."""
    text = Text(no_wrap=True, overflow="ellipsis")
    if finding.explained_by:
        text.append("  └ ", colours.dim)
    style = colours.severity(finding.level)
    text.append(f"{finding.level.value[0].upper()} ", style)
    text.append(f"{finding.code} ", f"bold {style}")
    return text + literal(finding.message)


def _title(findings: tuple[Finding, ...], skipped: int) -> str:
    counts = [
        plural(count, severity.value)
        for severity in Severity
        if (count := sum(finding.level is severity for finding in findings))
    ]
    words = ["Findings", ", ".join(counts) or "none"]
    if skipped:
        words.append(f"{plural(skipped, 'rule')} could not judge")
    return " · ".join(words)
