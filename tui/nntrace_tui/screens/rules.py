"""The rules page: the verdict of each rule on the run; and the documentation of one rule."""

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Footer, Static

from nntrace.rules import Rule, all_rules
from nntrace.text import plural
from nntrace_tui.literal import line, literal
from nntrace_tui.messages import ShowRule
from nntrace_tui.pages.verdicts import Verdict, verdicts
from nntrace_tui.screens.page import PageScreen
from nntrace_tui.snapshot import Snapshot
from nntrace_tui.themes import Palette, palette
from nntrace_tui.view import Page
from nntrace_tui.widgets.line_list import LineList


class RulesList(LineList):
    """Shows `Verdict`s."""

    def __init__(self) -> None:
        super().__init__()
        self._verdicts: tuple[Verdict, ...] = ()

    def show(self, shown: tuple[Verdict, ...]) -> None:
        """Update the list."""
        if shown != self._verdicts:
            self._verdicts = shown
            found = sum(verdict.severity is not None for verdict in shown)
            unable = sum(verdict.reason is not None for verdict in shown)
            silent = len(shown) - found - unable
            self.border_title = (
                f"{len(shown)} rules · {found} found something · {unable} could not judge · "
                f"{silent} found nothing"
            )
            self.renew()

    def code_at(self, index: int) -> str:
        """The code of the rule in a line."""
        return self._verdicts[index].code

    @property
    def count(self) -> int:
        """The number of rules."""
        return len(self._verdicts)

    def heading(self, width: int) -> Text:
        """The headings of the columns."""
        return Text(f"  {'rule':<34} what it says", "bold", no_wrap=True)

    def line(self, index: int, width: int) -> Text:
        """Draw one rule."""
        verdict, colours = self._verdicts[index], palette(self.app)
        mark, style = _mark(verdict, colours)
        text = line(f"{mark} ", style)
        name = literal(f"{verdict.code} {verdict.name}")
        name.truncate(34, overflow="ellipsis")
        name.pad_right(34 - name.cell_len)
        text.append_text(name).append(" ")
        if verdict.severity is not None:
            count = f"{verdict.findings}× " if verdict.findings > 1 else ""
            text.append(count, style).append_text(literal(verdict.message))
        else:
            text.append_text(literal(verdict.reason or verdict.summary, colours.dim))
        text.truncate(width, overflow="ellipsis")
        return text


def _mark(verdict: Verdict, colours: Palette) -> tuple[str, str]:
    if verdict.severity is not None:
        return verdict.severity.value[0].upper(), f"bold {colours.severity(verdict.severity)}"
    return ("–", colours.dim) if verdict.reason else ("✔", colours.good)


class RulesScreen(PageScreen):
    """Shows all rules."""

    PAGE = Page.RULES
    HELP = """\
Every installed rule and what it says of the run so far.

E W I   found something: an error, a warning, a fact
–       could not judge, and why
✔       looked, and found nothing

Enter   the documentation of the rule: what it sees, why it matters, its thresholds
"""
    AUTO_FOCUS = "RulesList"

    def body(self) -> ComposeResult:
        """Yield the list."""
        yield RulesList()

    def show_content(self, snapshot: Snapshot) -> None:
        """Update the list."""
        shown = verdicts(all_rules().values(), snapshot.findings, snapshot.skipped)
        self.query_one(RulesList).show(shown)

    def on_line_list_chosen(self, event: LineList.Chosen) -> None:
        """Open the documentation of the chosen rule."""
        self.post_message(ShowRule(self.query_one(RulesList).code_at(event.index)))


class RuleScreen(ModalScreen[None]):
    """Shows a rule's documentation; closes with Escape, Enter or q."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,q", "dismiss", "Back", key_display="esc")
    ]

    def __init__(self, rule: Rule) -> None:
        super().__init__()
        self._rule = rule

    def compose(self) -> ComposeResult:
        """Yield the text, which can be scrolled if it is longer than the screen."""
        with VerticalScroll(classes="card"):
            yield Static(document(self._rule, palette(self.app)))
        yield Footer(show_command_palette=False)


def document(rule: Rule, colours: Palette) -> Text:
    """Everything that a rule declares, as text."""
    text = Text()
    text.append(f"{rule.code} {rule.name}  ", "bold")
    text.append(rule.severity.value, colours.severity(rule.severity))
    text.append(f"\n\n{rule.doc}\n")
    if rule.advice:
        text.append("\n→ ", colours.good).append(f"{rule.advice}\n")
    if rule.in_keras:
        text.append("→ ", colours.good).append(f"In Keras: {rule.in_keras}\n")
    if rule.explains:
        text.append("\nLikely symptoms of it  ", colours.dim).append(", ".join(rule.explains))
    needs = [plural(rule.min_steps, "optimizer step")]
    needs += [f"{role.value} sites" for role in rule.needs]
    text.append("\nNeeds  ", colours.dim).append(", ".join(needs))
    if rule.thresholds:
        text.append(f"\n\nThresholds, in [tool.nntrace.rules.{rule.code}]", "underline")
        for threshold in rule.thresholds:
            text.append(f"\n  {threshold.name} = {threshold.default}")
            text.append(f"   {threshold.doc}", colours.dim)
    return text
