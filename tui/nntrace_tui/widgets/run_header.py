"""Two lines: which run this is, how it is doing and what tracing it costs."""

from functools import partial

from rich.text import Text

from nntrace.schema import RunStatus
from nntrace_tui.literal import line, literal
from nntrace_tui.numbers import MISSING, duration, number, percent, rate
from nntrace_tui.pages.run import Run
from nntrace_tui.snapshot import Extent, Snapshot
from nntrace_tui.themes import Palette
from nntrace_tui.widgets.drawing import Drawing

_QUIET_SECONDS = 10.0
_GAP = "   "
_TIMELINE_CELLS = 20


class RunHeader(Drawing):
    """Shows the header of a snapshot's run."""

    def on_mount(self) -> None:
        """Show that the run is being loaded, until the first snapshot arrives."""
        self.update("loading …\n")

    def show(self, snapshot: Snapshot) -> None:
        """Update both lines."""
        self.draw(partial(header, snapshot.run, snapshot.extent))


def header(run: Run, extent: Extent, width: int, _height: int, colours: Palette) -> Text:
    """Return name, status, step, speed and time; below them loss, learning rate and overhead."""
    words, style = _status(run, extent, colours)
    step = MISSING if run.step is None else f"{run.step:,}"
    right = Text()
    right.append(words, style)
    right.append(f"{_GAP}step {step}{_GAP}{rate(run.steps_per_second)}")
    right.append(f"{_GAP}{duration(run.elapsed_seconds)}")
    name = literal(run.name, "bold")
    name.truncate(max(12, width - right.cell_len - len(_GAP)), overflow="ellipsis")
    below = line("loss ", colours.dim)
    below.append(number(run.loss), "bold")
    below.append(f"{_GAP}lr ", colours.dim)
    below.append(number(run.lr))
    below.append(f"{_GAP}overhead ", colours.dim)
    below.append(percent(run.overhead))
    if len(run.rank_numbers) > 1:
        below.append(f"{_GAP}rank {run.rank} of {len(run.rank_numbers)}")
    below.append(_note(run, extent, colours))
    lines = Text("\n").join([Text(_GAP).join([name, right]), below])
    lines.no_wrap, lines.overflow = True, "ellipsis"
    return lines


def _status(run: Run, extent: Extent, colours: Palette) -> tuple[str, str]:
    if run.status is RunStatus.RUNNING and run.error:
        return "◌ not traced", f"bold {colours.warning}"
    if extent.until is None and _is_quiet(run):
        return "◌ stalled", f"bold {colours.warning}"
    return {
        RunStatus.RUNNING: ("● running", f"bold {colours.good}"),
        RunStatus.FINISHED: ("✔ finished", f"bold {colours.good}"),
        RunStatus.FAILED: ("✘ failed", f"bold {colours.error}"),
        RunStatus.KILLED: ("✘ killed", f"bold {colours.error}"),
    }[run.status]


def _is_quiet(run: Run) -> bool:
    """Return whether the run goes on, but no step has come for longer than usual."""
    if run.status is not RunStatus.RUNNING:
        return False
    silence = run.seconds_since_step or 0.0
    usual = 1 / run.steps_per_second if run.steps_per_second else 0.0
    return silence > max(_QUIET_SECONDS, 5 * usual)


def _note(run: Run, extent: Extent, colours: Palette) -> Text:
    """Return what is unusual: a step in the past is shown, an error, or no more steps."""
    if extent.until is not None:
        span = max(1, extent.last - extent.first)
        share = min(1.0, max(0.0, (extent.until - extent.first) / span))
        before = round(share * (_TIMELINE_CELLS - 1))
        text = Text(_GAP)
        text.append(f"⏸ at {extent.until:,} ", f"bold {colours.second_curve}")
        text.append("━" * before, colours.second_curve)
        text.append("●", f"bold {colours.second_curve}")
        text.append("─" * (_TIMELINE_CELLS - 1 - before), colours.dim)
        return text.append(f" {extent.last:,}", colours.dim)
    if run.error:
        return Text(_GAP) + literal(run.error, colours.error)
    if _is_quiet(run):
        silence = duration(run.seconds_since_step or 0.0)
        return Text(f"{_GAP}no step for {silence}", colours.warning)
    return Text()
