"""The line in which the monitor says what is wrong with the folder it reads."""

from textual.widgets import Static

from nntrace_tui.literal import literal


class StatusLine(Static):
    """Hidden while all is well."""

    def show(self, problem: str | None) -> None:
        """Show a problem, or hide the line."""
        self.display = problem is not None
        text = literal(problem or "")
        text.no_wrap, text.overflow = False, "fold"
        self.update(text)
