"""The diagnosis in one line: the likeliest root cause and what to do, or that all is well."""

from rich.text import Text
from textual.widgets import Static

from nntrace.rules import Severity
from nntrace.text import plural
from nntrace_tui.literal import line, literal
from nntrace_tui.snapshot import Snapshot
from nntrace_tui.themes import Palette, palette


class Headline(Static):
    """Shows the first finding of a snapshot that is not just a note."""

    def show(self, snapshot: Snapshot) -> None:
        """Update the text, and the height of the widget with it."""
        text = headline(snapshot, palette(self.app))
        self.styles.height = 1 + text.plain.count("\n")
        self.update(text)


def headline(snapshot: Snapshot, colours: Palette) -> Text:
    """Return the first finding and its advice, or that there is none, in one or two lines."""
    if snapshot.findings is None:
        return Text("… waiting for the first diagnosis", colours.dim)
    blamed = [f for f in snapshot.findings if f.level is not Severity.INFO]
    if not blamed:
        unjudged = len({skip.code for skip in snapshot.skipped})
        if unjudged and not snapshot.any_judged:
            text = line("nothing judged", "bold")
        else:
            text = line("✔ no problems found", f"bold {colours.good}")
        if unjudged:
            rules = plural(unjudged, "rule")
            text.append(f" · {rules} could not judge (8 lists them)", colours.dim)
        return text
    first = blamed[0]
    text = Text()
    text.append("✘ " if first.level is Severity.ERROR else "▲ ", colours.severity(first.level))
    text.append_text(literal(f"{first.code} {first.name}", f"bold {colours.severity(first.level)}"))
    text.append("  ")
    text.append_text(literal(first.message))
    if first.advice:
        text.append("\n→ ", colours.good)
        text.append_text(literal(first.advice, colours.dim))
    text.no_wrap = True
    text.overflow = "ellipsis"
    return text
