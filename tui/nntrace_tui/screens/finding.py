"""One finding in full: what was seen, the evidence, what to do, and the line of code."""

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Footer, Static

from nntrace.diagnosis.wording import evidence_value, place
from nntrace.rules import Finding
from nntrace.text import printable
from nntrace_tui.messages import Look, ShowRule
from nntrace_tui.themes import Palette, palette
from nntrace_tui.view import Page

_EVIDENCE_ITEMS = 12


class FindingScreen(ModalScreen[None]):
    """Shows a finding; closes with Escape, Enter or q."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,q", "dismiss", "Back", key_display="esc"),
        Binding("h", "rule", "The rule"),
        Binding("l", "layer", "The layer"),
        Binding("y", "copy", "Copy place"),
    ]

    def __init__(self, finding: Finding) -> None:
        super().__init__()
        self._finding = finding

    def compose(self) -> ComposeResult:
        """Yield the text, which can be scrolled if it is longer than the screen."""
        with VerticalScroll(classes="card"):
            yield Static(describe(self._finding, palette(self.app)))
        yield Footer(show_command_palette=False)

    def action_rule(self) -> None:
        """Open the documentation of the rule that found it."""
        self.post_message(ShowRule(self._finding.code))

    def action_layer(self) -> None:
        """Open the page of the layer that it is about."""
        site = self._finding.site
        if site is None:
            self.notify("This finding is about the run, not about one layer.", timeout=3)
            return
        self.dismiss()
        self.post_message(Look(page=Page.LAYER, layer=site.module, parameter=0))

    def action_copy(self) -> None:
        """Copy the place in the program, to be pasted into an editor."""
        location = self._finding.location
        if location is None:
            self.notify("This finding names no place in the program.", timeout=3)
            return
        self.app.copy_to_clipboard(f"{location.file}:{location.line}")
        self.notify("copied: " + printable(f"{location.file}:{location.line}"), timeout=3)


def describe(finding: Finding, colours: Palette) -> Text:
    """Everything that a finding holds, as text; names from user code are literal."""
    text = Text()
    text.append(f"{finding.code} {finding.name}", "bold")
    text.append("  ")
    text.append(finding.level.value, colours.severity(finding.level))
    if finding.site is not None:
        text.append("\n")
        text.append(printable(f"{finding.site.path or '(model)'} · {finding.site.role}"), "bold")
    first, last = finding.steps
    text.append(f"\nstep {first:,}" if first == last else f"\nsteps {first:,} to {last:,}")
    if finding.explained_by:
        text.append(f"\nlikely a symptom of {finding.explained_by}")
    text.append(f"\n\n{printable(finding.message)}\n")
    if finding.evidence:
        _section(text, "Evidence")
        for name, value in finding.evidence.items():
            text.append(f"\n  {printable(str(name)).replace('_', ' ')}: ", colours.dim)
            text.append(evidence_value(value, _EVIDENCE_ITEMS))
    if finding.advice:
        _section(text, "Advice")
        text.append(f"\n  {printable(finding.advice)}")
    if finding.location is not None:
        _section(text, "Where")
        text.append(f"\n  {place(finding.location)}")
        if finding.location.source:
            text.append(f"\n  {printable(finding.location.source)}", "bold")
    return text


def _section(text: Text, title: str) -> None:
    text.append(f"\n{title}" if text.plain.endswith("\n") else f"\n\n{title}", "underline")
