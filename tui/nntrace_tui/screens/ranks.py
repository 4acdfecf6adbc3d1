"""The ranks page: one line per rank, how far it is behind, whether its loss agrees."""

from typing import Final

from rich.text import Text
from textual.app import ComposeResult

from nntrace.text import plural
from nntrace_tui.literal import literal
from nntrace_tui.messages import Look
from nntrace_tui.numbers import MISSING, duration, number, percent, short_number
from nntrace_tui.pages.ranks import RankRow, RanksPage
from nntrace_tui.screens.page import PageScreen
from nntrace_tui.snapshot import Snapshot
from nntrace_tui.themes import palette
from nntrace_tui.view import Page
from nntrace_tui.widgets.findings_list import FindingsList
from nntrace_tui.widgets.line_list import LineList

_SLOW: Final = 1.2  # as in DST04: a fifth slower than the others
_APART: Final = 1.5  # ratio of a rank's loss to the ranks' median
_QUIET_SECONDS: Final = 30.0


class RanksList(LineList):
    """Shows a `RanksPage`."""

    def __init__(self) -> None:
        super().__init__()
        self._page = RanksPage()

    def show(self, page: RanksPage) -> None:
        """Update the list."""
        self._page = page
        self.border_title = plural(len(page.rows), "rank")
        self.renew()

    def rank_at(self, index: int) -> int:
        """The rank shown in a line."""
        return self._page.rows[index].rank

    @property
    def count(self) -> int:
        """The number of ranks."""
        return len(self._page.rows)

    def heading(self, width: int) -> Text:
        """The headings of the columns."""
        shared = self._page.shared_step
        loss = "loss" if shared is None else f"loss at {shared:,}"
        columns = f"  {'rank':>5}{'step':>11}{'lag':>7}{'step time':>12}{'data wait':>11}"
        return Text(f"{columns}{loss:>18}{'grad norm':>11}  state", "bold", no_wrap=True)

    def line(self, index: int, width: int) -> Text:
        """Draw one rank."""
        row, colours = self._page.rows[index], palette(self.app)
        text = Text("▸ " if row.rank == self._page.shown_rank else "  ", no_wrap=True)
        text.append(f"{row.rank:>5}", "bold")
        text.append(f"{MISSING if row.step is None else f'{row.step:,}':>11}")
        text.append(f"{row.lag:>7,}", colours.warning if row.lag > 1 else colours.dim)
        slow = self._is_slow(row)
        time = MISSING if row.step_seconds is None else f"{1000 * row.step_seconds:,.1f} ms"
        text.append(f"{time:>12}", colours.warning if slow else "")
        text.append(f"{percent(row.data_wait):>11}")
        apart = row.loss_ratio is not None and not 1 / _APART < row.loss_ratio < _APART
        text.append(f"{number(row.loss):>18}", colours.warning if apart else "")
        text.append(f"{short_number(row.grad_norm):>11}  ")
        if row.problem:
            return text.append_text(literal(row.problem, colours.error))
        if row.has_stopped:
            return text.append("ended", colours.dim)
        if (row.seconds_behind or 0.0) > _QUIET_SECONDS:
            silence = duration(row.seconds_behind or 0.0)
            return text.append(f"silent for {silence}", colours.error)
        return text.append("slowest" if slow else "", colours.warning)

    def _is_slow(self, row: RankRow) -> bool:
        times = sorted(r.step_seconds for r in self._page.rows if r.step_seconds)
        middle = times[(len(times) - 1) // 2] if times else 0.0
        return bool(row.step_seconds and row.step_seconds > _SLOW * middle > 0)


class RanksScreen(PageScreen):
    """Shows all ranks."""

    PAGE = Page.RANKS
    HELP = """\
One line per rank. The other pages show the rank marked ▸.

lag          steps behind the rank that is furthest
step time    the median of the last 200 steps
data wait    share of that time spent waiting for data
loss         at the last step that all ranks have finished

Enter        show the other pages for that rank
, .          the rank before, the next rank (on every page)
"""
    AUTO_FOCUS = "RanksList"

    def body(self) -> ComposeResult:
        """Yield the ranks, and the findings on them."""
        yield RanksList()
        yield FindingsList()

    def show_content(self, snapshot: Snapshot) -> None:
        """Update both lists."""
        page = snapshot.content
        if isinstance(page, RanksPage):
            self.query_one(RanksList).show(page)
        found = tuple(f for f in snapshot.findings or () if f.code.startswith("DST"))
        self.query_one(FindingsList).show(found, ())
        self.query_one(FindingsList).display = bool(found)

    def on_line_list_chosen(self, event: LineList.Chosen) -> None:
        """Show the chosen rank from now on."""
        self.post_message(Look(rank=self.query_one(RanksList).rank_at(event.index)))
