"""Two lines that say which run this is, how it is doing and what tracing it costs."""

from rich.text import Text
from textual.widgets import Static

from nntrace.schema import RunStatus
from nntrace_tui.literal import literal
from nntrace_tui.numbers import MISSING, duration, number, percent, rate
from nntrace_tui.snapshot import Run

_STATUS = {
    RunStatus.RUNNING: ("● running", "green"),
    RunStatus.FINISHED: ("✔ finished", "bold"),
    RunStatus.FAILED: ("✘ failed", "red"),
    RunStatus.KILLED: ("✘ killed", "red"),
}
_QUIET_SECONDS = 10.0
_GAP = "   "


class RunHeader(Static):
    """Shows a `Run`."""

    def __init__(self) -> None:
        super().__init__("loading …\n")

    def show(self, run: Run) -> None:
        """Replace both lines."""
        self.update(header(run, self.content_size.width))


def header(run: Run, width: int) -> Text:
    """Name, status, step, speed and time; below them loss, learning rate and overhead."""
    words, style = _STATUS[run.status]
    step = MISSING if run.step is None else f"{run.step:,}"
    right = Text()
    right.append(words, style)
    right.append(f"{_GAP}step {step}{_GAP}{rate(run.steps_per_second)}")
    right.append(f"{_GAP}{duration(run.elapsed_seconds)}")
    name = literal(run.name, "bold")
    name.truncate(max(12, width - right.cell_len - len(_GAP)), overflow="ellipsis")
    below = Text("loss ", "dim")
    below.append(number(run.loss), "bold")
    below.append(f"{_GAP}lr ", "dim")
    below.append(number(run.lr))
    below.append(f"{_GAP}overhead ", "dim")
    below.append(percent(run.overhead))
    if run.ranks > 1:
        below.append(f"{_GAP}rank {run.rank} of {run.ranks}")
    below.append(_note(run))
    lines = Text("\n").join([Text(_GAP).join([name, right]), below])
    lines.no_wrap, lines.overflow = True, "ellipsis"
    return lines


def _note(run: Run) -> Text:
    """What is unusual: the error the run ended with, or steps that have stopped coming."""
    if run.error:
        return Text(_GAP) + literal(run.error, "red")
    silence = run.seconds_since_step or 0.0
    usual = 1 / run.steps_per_second if run.steps_per_second else 0.0
    if silence > max(_QUIET_SECONDS, 5 * usual):
        return Text(f"{_GAP}no step for {duration(silence)}", "yellow")
    return Text()
