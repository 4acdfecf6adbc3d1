"""Lets the user choose another run of the same folder, here or on another machine."""

from typing import ClassVar

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Footer

from nntrace.errors import NntraceError
from nntrace.schema import RunStatus
from nntrace.watch.run_lists import RunList, RunRow
from nntrace_tui.literal import literal
from nntrace_tui.numbers import MISSING, short_number
from nntrace_tui.pages.runs import age
from nntrace_tui.themes import palette
from nntrace_tui.widgets.line_list import LineList

_MARKS = {
    RunStatus.RUNNING: "●",
    RunStatus.FINISHED: "✔",
    RunStatus.FAILED: "✘",
    RunStatus.KILLED: "✘",
}


class RunsList(LineList):
    """Shows `RunRow`s."""

    def __init__(self, open_run: str) -> None:
        super().__init__()
        self._rows: tuple[RunRow, ...] = ()
        self._open_run = open_run

    def show(self, rows: tuple[RunRow, ...]) -> None:
        """Update the list; at first the cursor is on the open run."""
        here = self._rows[self.cursor].place if self._rows else self._open_run
        self._rows = rows
        self.renew()
        places = [row.place for row in rows]
        if here in places:
            self.move_to(places.index(here))

    def place_at(self, index: int) -> str:
        """The run in a line."""
        return self._rows[index].place

    @property
    def count(self) -> int:
        """The number of runs."""
        return len(self._rows)

    def heading(self, width: int) -> Text:
        """The headings of the columns."""
        room = self._room(width)
        return Text(
            f"  {'run':<{room}} {'status':<10}{'started':>9}{'steps':>11}{'loss':>10}",
            "bold",
            no_wrap=True,
        )

    def line(self, index: int, width: int) -> Text:
        """Draw one run."""
        row, colours = self._rows[index], palette(self.app)
        style = {
            RunStatus.RUNNING: colours.good,
            RunStatus.FAILED: colours.error,
            RunStatus.KILLED: colours.error,
        }.get(row.status, colours.dim)
        text = Text("▸ " if row.place == self._open_run else "  ", no_wrap=True)
        name = literal(row.name)
        room = self._room(width)
        name.truncate(room, overflow="ellipsis")
        name.pad_right(room - name.cell_len)
        text.append_text(name)
        text.append(f" {_MARKS[row.status]} {row.status.value:<8}", style)
        text.append(f"{age(row.started_ns):>9}", colours.dim)
        text.append(f"{MISSING if row.steps is None else f'{row.steps:,}':>11}")
        return text.append(f"{short_number(row.loss):>10}")

    def _room(self, width: int) -> int:
        return max(10, width - 2 - 1 - 10 - 9 - 11 - 10)


class RunsScreen(ModalScreen[str | None]):
    """A list of runs; closes with the chosen one."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,r", "dismiss", "Back", key_display="esc")
    ]

    def __init__(self, listed: RunList, open_run: str) -> None:
        super().__init__()
        self._listed = listed
        self._open_run = open_run

    def compose(self) -> ComposeResult:
        """Yield the list."""
        with Vertical(classes="card", id="runs-card"):
            yield RunsList(self._open_run)
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Read the list now, and from time to time if that costs little."""
        runs = self.query_one(RunsList)
        runs.border_title = literal(f"Runs in {self._listed.where}")
        runs.loading = True
        self._read()
        if self._listed.refresh_seconds is not None:
            self.set_interval(self._listed.refresh_seconds, self._read)

    @work(thread=True, exclusive=True)
    def _read(self) -> None:
        try:
            rows, problem = tuple(self._listed.rows()), None
        except NntraceError as error:
            rows, problem = (), str(error)
        if self.is_attached:
            self.app.call_from_thread(self._show, rows, problem)

    def _show(self, rows: tuple[RunRow, ...], problem: str | None) -> None:
        if not self.is_attached:
            return  # the screen was closed while ssh was asked
        runs = self.query_one(RunsList)
        runs.loading = False
        if problem is not None:
            self.notify(problem, severity="error", markup=False)
        runs.show(rows)
        runs.focus()

    def on_line_list_chosen(self, event: LineList.Chosen) -> None:
        """Close with the chosen run."""
        event.stop()
        self.dismiss(self.query_one(RunsList).place_at(event.index))
