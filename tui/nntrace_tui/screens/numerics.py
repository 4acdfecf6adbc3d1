"""The numerics page: the story of a NaN, or how far all values are from one."""

import math
from functools import partial
from textwrap import wrap

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll

from nntrace.text import plural
from nntrace_tui.draw import sparkline
from nntrace_tui.literal import line, literal, shorten_path
from nntrace_tui.numbers import short_number
from nntrace_tui.pages.numerics import Growing, NumericsPage
from nntrace_tui.screens.finding import describe
from nntrace_tui.screens.page import PageScreen
from nntrace_tui.snapshot import Snapshot
from nntrace_tui.themes import Palette
from nntrace_tui.view import Page
from nntrace_tui.widgets.drawing import Drawing

_LABEL = 38
_NARROWEST = 20
_FEW_DECADES = 3.0
_GROUPS_SHOWN = 20
_PATHS_SHOWN = 12


class NumericsScreen(PageScreen):
    """Shows non-finite values, or the largest ones."""

    PAGE = Page.NUMERICS
    HELP = """\
When a NaN or an infinity was seen: its origin as far as is known, what grew before it, and
which layers it reached in which order.

Otherwise the largest absolute values over the run and their headroom: how many powers of ten
are left to the limit of their type.
"""
    AUTO_FOCUS = "VerticalScroll"

    def body(self) -> ComposeResult:
        """Yield one text, which can be scrolled."""
        scroll = VerticalScroll(Drawing(id="story-text"), id="story")
        scroll.border_title = "Numerics"
        yield scroll

    def show_content(self, snapshot: Snapshot) -> None:
        """Update the text."""
        page = snapshot.content
        if isinstance(page, NumericsPage):
            self.query_one("#story-text", Drawing).draw(partial(story, page))


def story(page: NumericsPage, width: int, _height: int, colours: Palette) -> Text:
    """Draw the whole page."""
    lines: list[Text] = []
    if page.first_step is None:
        lines += [
            Text("✔ every value seen so far is finite", f"bold {colours.good}"),
            Text(),
            Text("Largest values and what is left to the limit of their type", "underline"),
        ]
        lines += [_growing(row, width, colours, finite=True) for row in page.growing]
    else:
        first = f"✘ first not finite at step {page.first_step:,}"
        lines += [Text(first, f"bold {colours.error}"), Text()]
        if page.story:
            lines.append(Text("Origin", "underline"))
            lines += [_fact(name, value, width, colours) for name, value in page.story]
            lines.append(Text())
        else:
            for finding in page.findings[:2]:
                lines += [describe(finding, colours), Text()]
        lines += _before(page, width, colours)
        lines += _spread(page, width, colours)
    return Text("\n").join(lines)


def _fact(name: str, value: str, width: int, colours: Palette) -> Text:
    """A name and what is said of it, wrapped within its own column."""
    label = f"  {literal(name).plain:<8} "
    rows = wrap(literal(value).plain, max(_NARROWEST, width - len(label)))
    return Text.assemble((label, colours.dim), ("\n" + " " * len(label)).join(rows))


def _before(page: NumericsPage, width: int, colours: Palette) -> list[Text]:
    room = max(0, min(60, width - 14))
    lines = [Text("Before it", "underline")]
    for name, curve in (("loss", page.loss), ("grad norm", page.grad_norm)):
        if curve.values:
            history = sparkline(curve, room)
            lines.append(line(f"  {name:<11}", colours.dim).append(history, colours.curve))
    lines += [_growing(row, width, colours, finite=False) for row in page.growing[:8]]
    if len(lines) == 1:
        lines.append(line("  no sample and no finite loss", colours.dim))
    return [*lines, Text()]


def _growing(row: Growing, width: int, colours: Palette, *, finite: bool) -> Text:
    where = f"{shorten_path(row.path, 24)} {row.role}"
    text = Text(f"  {where:<{_LABEL}} ", no_wrap=True, overflow="ellipsis")
    text.truncate(_LABEL + 3, overflow="ellipsis")
    text.append(f"max {short_number(row.largest):>8}  ")
    if finite:
        short = row.headroom < _FEW_DECADES
        left = "∞" if math.isinf(row.headroom) else f"10^{row.headroom:.0f}"
        text.append(f"{left:>6} left in ", colours.warning if short else colours.dim)
        text.append_text(literal(f"{row.dtype:<9}", colours.warning if short else colours.dim))
    else:
        grown = row.growth > 2
        text.append(f"×{short_number(row.growth):>7} ", colours.warning if grown else colours.dim)
    return text.append(
        sparkline(row.history, max(0, min(30, width - text.cell_len))), colours.curve
    )


def _spread(page: NumericsPage, width: int, colours: Palette) -> list[Text]:
    lines = [Text("Reached", "underline")]
    for some in page.reached[:_GROUPS_SHOWN]:
        text = line(f"  step {some.step:>8,}  ", colours.dim)
        text.append_text(literal(f"{some.role:<16}"))
        text.append(f"{plural(len(some.paths), 'site'):<11}")
        paths = [shorten_path(path, 40) for path in some.paths[:_PATHS_SHOWN]]
        text.append(", ".join(paths), "bold")
        text.append(", …" if len(some.paths) > _PATHS_SHOWN else "")
        text.truncate(width, overflow="ellipsis")
        lines.append(text)
    return lines
