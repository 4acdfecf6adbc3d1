"""The monitor's Textual application: one follower thread, one screen, and the keys for both.

Workers compute, messages carry, handlers change the screen. Leaving the app leaves the run alone.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

from rich.console import Console
from textual.app import App
from textual.binding import Binding, BindingType
from textual.css.query import NoMatches

from nntrace.diagnosis import Diagnosis, diagnose
from nntrace.trace import Trace
from nntrace_tui.follower import Follower, Pace, Update
from nntrace_tui.screens.help import HelpScreen
from nntrace_tui.screens.overview import OverviewScreen

_PLAIN_COLOUR_SYSTEMS = (None, "standard", "windows")


def _is_plain_terminal() -> bool:
    """Whether to use the terminal's own sixteen colours, or none.

    A true-colour theme rounded to sixteen colours is unreadable. With NO_COLOR, Textual's filter
    for native colours removes them all, the one for themes keeps greys.
    """
    system = Console(force_terminal=True).color_system
    return "NO_COLOR" in os.environ or system in _PLAIN_COLOUR_SYSTEMS


class MonitorApp(App[None]):
    """Shows one run folder.

    Args:
        run_folder: the folder; it is only ever read.
        pace: how often it is looked at.
        diagnose: makes the findings; called in the follower's thread.
    """

    CSS_PATH = "monitor.tcss"
    TITLE = "nntrace"
    ENABLE_COMMAND_PALETTE = False
    # Not a ClassVar: Textual declares it as an attribute of the instance.
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (120, "-wide")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "Detach"),
        Binding("question_mark", "help", "Help", key_display="?"),
    ]

    def __init__(
        self,
        run_folder: Path,
        *,
        pace: Pace | None = None,
        diagnose: Callable[[Trace], Diagnosis] = diagnose,
    ) -> None:
        plain = _is_plain_terminal()
        super().__init__(ansi_color=True if plain else None)
        self._overview = OverviewScreen()
        self._follower = Follower(run_folder, self.post_message, pace, diagnose)
        if plain:
            self.theme = "ansi-dark"

    def get_default_screen(self) -> OverviewScreen:
        """The overview, empty until the first update has come."""
        return self._overview

    def on_ready(self) -> None:
        """Start to follow once the overview has its panes and has painted them empty."""
        self._overview.call_after_refresh(self._follower.start)

    def on_unmount(self) -> None:
        """Detach."""
        self._follower.stop()

    def on_update(self, update: Update) -> None:
        """Show the newest state of the run."""
        # The panes never change; while the app closes they go before the last update has come.
        with suppress(NoMatches):
            self._overview.show(update.snapshot, update.problem)

    def action_help(self) -> None:
        """Show the keys and what the columns mean."""
        if not isinstance(self.screen, HelpScreen):
            self.push_screen(HelpScreen())
