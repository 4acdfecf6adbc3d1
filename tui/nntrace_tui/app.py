"""The monitor's Textual application: one follower thread, a screen per page, keys for all of them.

Workers compute, messages carry, handlers change the screen. A message that arrives while the app
closes, and has no screens any more, changes nothing. Leaving the app does not affect the run.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from textual import work
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.css.query import NoMatches
from textual.screen import Screen

from nntrace.errors import NntraceError, UnknownRuleError
from nntrace.rules import get_rule
from nntrace.watch import Watch
from nntrace_tui.bands import bands
from nntrace_tui.export import file_stem, save_svg, save_text
from nntrace_tui.follower import Follower, Update
from nntrace_tui.messages import Look, ShowFinding, ShowRule
from nntrace_tui.pace import Pace
from nntrace_tui.screens import new_screen
from nntrace_tui.screens.finding import FindingScreen
from nntrace_tui.screens.help import HelpScreen
from nntrace_tui.screens.page import PageScreen
from nntrace_tui.startup import load_rest
from nntrace_tui.termination import TERMINATED, LostTerminal, on_termination
from nntrace_tui.themes import OWN, is_plain_terminal
from nntrace_tui.view import Page, View
from nntrace_tui.widgets.program_output import ProgramOutput

_SMALL_MOVES = 100  # presses of a key that go through the whole run
_TERMINAL_SECONDS = 2.0  # between two checks that the terminal still exists


class MonitorApp(App[None]):
    """Shows one run folder at a time.

    Args:
        watch: the run; its folder is only ever read.
        pace: how often it is read.
        settled: called when new objects exist that will stay, as after a page was first opened.
    """

    CSS_PATH = "monitor.tcss"
    TITLE = "nntrace"
    MODES: ClassVar[dict[str, str | Callable[[], Screen[Any]]]] = {
        page.name: partial(new_screen, page) for page in Page
    }
    DEFAULT_MODE = Page.OVERVIEW.name
    # Not a ClassVar: Textual declares it as an attribute of the instance.
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (120, "-wide")]  # noqa: RUF012  Textual's
    BINDINGS: ClassVar[list[BindingType]] = [
        *(Binding(page.key, f"page({page.name!r})", str(page), show=False) for page in Page),
        Binding("space", "pause", "Pause"),
        Binding("left_square_bracket", "scrub(-1)", "Back", show=False),
        Binding("right_square_bracket", "scrub(1)", "Forward", show=False),
        Binding("left_curly_bracket", "scrub(-10)", "Far back", show=False),
        Binding("right_curly_bracket", "scrub(10)", "Far forward", show=False),
        Binding("f", "follow", "Follow", show=False),
        Binding("comma", "rank(-1)", "Rank before", show=False),
        Binding("full_stop", "rank(1)", "Next rank", show=False),
        Binding("r", "runs", "Runs"),
        Binding("less_than_sign", "run(1)", "Older run", show=False),
        Binding("greater_than_sign", "run(-1)", "Newer run", show=False),
        Binding("e", "save_svg", "Save as SVG", show=False),
        Binding("E", "save_text", "Save as text", show=False),
        Binding("y", "copy", "Copy", show=False),
        Binding("t", "next_theme", "Theme", show=False),
        Binding("question_mark", "help", "Help", key_display="?"),
        Binding("q", "quit", "Detach"),
        Binding("ctrl+z", "suspend_process", "Suspend", show=False),
        Binding("ctrl+c", "interrupt", "Interrupt the program", show=False, priority=True),
    ]

    def __init__(
        self, watch: Watch, *, pace: Pace | None = None, settled: Callable[[], None] = lambda: None
    ) -> None:
        plain = is_plain_terminal()
        super().__init__(ansi_color=True if plain else None)
        self._watch = watch
        self._pace = pace
        self._view = View(bands=bands(watch.thresholds))
        self._follower = self._new_follower()
        self._last: Update | None = None
        self._settled = settled
        self._painted_pages: set[Page] = set()
        self._listen_no_more: Callable[[], None] = lambda: None
        self.lost_terminal = LostTerminal(lambda: self.exit(return_code=TERMINATED))
        for theme in OWN:
            self.register_theme(theme)
        self.theme = "ansi-dark" if plain else OWN[0].name

    def _new_follower(self) -> Follower:
        watch = self._watch
        return Follower(
            watch.run, self.post_message, self._pace, watch.diagnose, self._view, watch.problem
        )

    def on_ready(self) -> None:
        """Start to follow once the overview has painted its empty panes."""
        self._listen_no_more = on_termination(self._terminated)
        if not self.is_headless:
            self.set_interval(_TERMINAL_SECONDS, self.lost_terminal.look)
        self._page_screen.call_after_refresh(self._follower.start)
        if self._watch.output is not None:
            self._page_screen.query_one(ProgramOutput).follow(self._watch.output)

    def on_unmount(self) -> None:
        """Stop following the run."""
        self._listen_no_more()
        self._follower.stop()

    def _terminated(self) -> None:
        """Give the terminal back, and end a program that was started here."""
        if self._watch.terminate is not None:
            self._watch.terminate()
            self.exit()
        else:
            self.exit(return_code=TERMINATED)

    @property
    def _page_screen(self) -> PageScreen:
        """The open page, which may be below a dialog."""
        screen = self.screen_stack[0]
        assert isinstance(screen, PageScreen)
        return screen

    def on_update(self, update: Update) -> None:
        """Show the newest state of the run."""
        self._last = update
        if not self.is_running:
            return
        with suppress(NoMatches):  # the panes go before the application counts as closing
            self._page_screen.show(update.snapshot, update.problem)
            self._page_screen.call_after_refresh(self._painted)

    def _painted(self) -> None:
        """After the last update was painted: start what takes long."""
        self._follower.painted()
        if not self._painted_pages:
            load_rest(self._settled)
        elif self._view.page not in self._painted_pages:
            self._settled()
        self._painted_pages.add(self._view.page)

    def _show_last(self) -> None:
        """Show the newest state again, on a new screen or in new colours."""
        if self._last is not None:
            self.on_update(self._last)

    async def on_look(self, look: Look) -> None:
        """Apply a new view: the header at once, the page when it has been built."""
        if not self.is_running:
            return
        before, self._view = self._view, replace(self._view, **look.changes)
        if self._view.page is not before.page:
            await self.switch_mode(self._view.page.name)
            self._page_screen.call_after_refresh(self._show_last)
        self._follower.look_at(self._view)

    def on_show_finding(self, message: ShowFinding) -> None:
        """Show a finding in full."""
        self.push_screen(FindingScreen(message.finding))

    def on_show_rule(self, message: ShowRule) -> None:
        """Show a rule's documentation."""
        from nntrace_tui.screens.rules import RuleScreen

        with suppress(UnknownRuleError):  # the finding may be of a rule that is not installed here
            self.push_screen(RuleScreen(get_rule(message.code)))

    def action_page(self, name: str) -> None:
        """Open a page; from a dialog, close it first."""
        while not isinstance(self.screen, PageScreen):
            self.pop_screen()
        self.post_message(Look(page=Page[name]))

    def action_pause(self) -> None:
        """Pause at the last step, or follow the run again."""
        if self._view.until is not None:
            self.action_follow()
        elif self._last is not None and self._last.snapshot is not None:
            self.post_message(Look(until=self._last.snapshot.extent.last))

    def action_follow(self) -> None:
        """Show the newest state again."""
        self.post_message(Look(until=None))

    def action_scrub(self, moves: int) -> None:
        """Move the displayed moment, in hundredths of the run."""
        if self._last is None or self._last.snapshot is None:
            return
        extent = self._last.snapshot.extent
        here = extent.last if self._view.until is None else self._view.until
        small = max(1, (extent.last - extent.first) // _SMALL_MOVES)
        wanted = max(extent.first, here + moves * small)
        self.post_message(Look(until=None if wanted >= extent.last else wanted))

    def action_rank(self, by: int) -> None:
        """Show another rank."""
        if self._last is None or self._last.snapshot is None:
            return
        run = self._last.snapshot.run
        if len(run.rank_numbers) > 1:
            place = run.rank_numbers.index(run.rank) + by
            self.post_message(Look(rank=run.rank_numbers[place % len(run.rank_numbers)]))
        else:
            self.notify("This run has one rank.", timeout=2)

    def action_runs(self) -> None:
        """Let the user choose another run."""
        from nntrace_tui.screens.runs import RunsScreen

        runs = self._watch.runs
        if runs is None:
            self.notify("Only this run can be reached from here.", timeout=3)
            return

        def chosen(place: str | None) -> None:
            if place is not None:
                self._open(lambda: place)

        self.push_screen(RunsScreen(runs, self._watch.place), chosen)

    def action_run(self, older: int) -> None:
        """Open the run that began before this one, or after it."""

        def neighbour() -> str:
            places = [] if self._watch.runs is None else list(self._watch.runs.places())
            here = self._watch.place
            place = (places.index(here) if here in places else -older) + older
            if not 0 <= place < len(places):
                raise NntraceError(f"There is no {'older' if older > 0 else 'newer'} run here.")
            return places[place]

        self._open(neighbour)

    @work(thread=True, exclusive=True, group="open", exit_on_error=False)
    def _open(self, place: Callable[[], str]) -> None:
        """Find and reach another run in a thread, as both take time over ssh."""
        runs = self._watch.runs
        try:
            wanted = place()
            if runs is not None and wanted != self._watch.place:
                watch = runs.watch(wanted)
                self.call_from_thread(self._follow, watch)
        except (NntraceError, OSError) as error:
            self.call_from_thread(self.notify, str(error), timeout=4, markup=False)

    def _follow(self, watch: Watch) -> None:
        """Follow another run; only one that was started here has output and an interrupt."""
        self._follower.stop(timeout=0)
        self._watch = watch
        self._view = View(self._view.page, metric=self._view.metric, bands=self._view.bands)
        self._follower = self._new_follower()
        self._follower.start()

    def action_save_svg(self) -> None:
        """Save the screen as it is, as a picture."""
        self._saved(save_svg(self, self._file_stem()))

    def action_save_text(self) -> None:
        """Save the screen as it is, as text."""
        self._saved(save_text(self, self._file_stem()))

    def _file_stem(self) -> str:
        snapshot = None if self._last is None else self._last.snapshot
        name = self._watch.run.name if snapshot is None else snapshot.run.name
        return file_stem(name, self._view.page)

    def _saved(self, outcome: Path | str) -> None:
        if isinstance(outcome, Path):
            self.notify(f"saved {outcome}", timeout=4, markup=False)
        else:
            self.notify(outcome, severity="error", markup=False)

    def action_copy(self) -> None:
        """Copy the place in the program, or the run's folder, to the terminal's clipboard."""
        text = self._page_screen.copyable() or self._watch.place
        self.copy_to_clipboard(text)
        self.notify(f"copied: {text!a}", timeout=3, markup=False)

    def copy_to_clipboard(self, text: str) -> None:
        """Copy text to the terminal's clipboard; bytes of a path that are no text are escaped."""
        super().copy_to_clipboard(text.encode(errors="backslashreplace").decode())

    def action_next_theme(self) -> None:
        """Switch to the next of the monitor's own themes."""
        names = [theme.name for theme in OWN]
        place = names.index(self.theme) + 1 if self.theme in names else 0
        self.theme = names[place % len(names)]
        self.notify(f"theme: {self.theme}", timeout=2)

    def watch_theme(self, theme: str) -> None:
        """Draw everything again in the new colours."""
        self._show_last()

    def action_interrupt(self) -> None:
        """Ctrl-C: interrupt a program that was started here; otherwise explain how to leave."""
        if self._watch.interrupt is None:
            self.notify("q detaches; the run goes on.", timeout=3)
        elif not self._watch.interrupt():
            self.notify("the program has ended; q leaves the monitor", timeout=5)
        else:
            self.notify("interrupted the program; q leaves the monitor", timeout=5)

    def action_help(self) -> None:
        """Show the keys, and what the open page shows."""
        if not isinstance(self.screen, HelpScreen):
            screen = self._page_screen
            self.push_screen(HelpScreen(screen.PAGE, screen.HELP))

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """Yield the commands of the palette."""
        for page in Page:
            about = f"Open page {page.key}"
            yield SystemCommand(str(page), about, lambda page=page: self.action_page(page.name))
        yield SystemCommand("Runs", "Choose another run", self.action_runs)
        yield SystemCommand(
            "Pause or follow", "Pause at this step, or follow the run again", self.action_pause
        )
        yield SystemCommand("Save as SVG", "Save this screen as a picture", self.action_save_svg)
        yield SystemCommand("Save as text", "Save this screen as text", self.action_save_text)
        yield SystemCommand("Copy path", "Copy the run's path", self.action_copy)
        yield SystemCommand("Theme", "Choose the colours", self.action_change_theme)
        yield SystemCommand("Help", "Show the keys", self.action_help)
        yield SystemCommand("Detach", "Leave; the run goes on", self.action_quit)
