"""The line that shows what is wrong with the run folder."""

from textual.widgets import Static

from nntrace_tui.literal import literal


class StatusLine(Static):
    """Shows a problem; hidden while there is none."""

    def show(self, problem: str | None) -> None:
        """Show `problem`, or hide the line if there is none."""
        self.display = problem is not None
        text = literal(problem or "")
        text.no_wrap, text.overflow = False, "fold"
        self.update(text)
