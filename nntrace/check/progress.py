"""Shows the running experiments on stderr: bars on a terminal, elsewhere a line for each."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from nntrace.check.check import Watcher
from nntrace.check.children import Child
from nntrace.errors import NntraceError
from nntrace.notices import say
from nntrace.trace import Trace


@contextmanager
def progress(*, shown: bool) -> Iterator[Watcher]:
    """Show progress; yields the function that a check calls while experiments run."""
    screen = Console(stderr=True)
    if not (shown and screen.is_terminal):
        yield _Lines().watch
        return
    bars = Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("{task.completed:.0f}/{task.total:.0f} steps"),
        TextColumn("{task.fields[loss]}", style="dim"),
        TimeElapsedColumn(),
        console=screen,
        transient=True,
    )
    with bars:
        yield _Bars(bars).watch


class _Lines:
    """Prints a line when an experiment begins."""

    def __init__(self) -> None:
        self._known: set[str] = set()

    def watch(self, running: Sequence[Child]) -> None:
        for child in running:
            if child.run.name not in self._known:
                self._known.add(child.run.name)
                say(f"{child.run.name}: {child.planned.title}")


class _Bars:
    """Shows a bar for each experiment, with its step and its loss."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}
        self._traces: dict[str, Trace] = {}
        self._running: dict[str, Child] = {}

    def watch(self, running: Sequence[Child]) -> None:
        now = {child.run.name: child for child in running}
        for name, child in self._running.items():
            if name not in now:  # only once: another `stop_task` would change the elapsed time
                self._update(child, is_over=True)
                self._bars.stop_task(self._tasks[name])
        self._running = now
        for child in running:
            self._update(child)

    def _update(self, child: Child, *, is_over: bool = False) -> None:
        steps, loss = self._state(child)
        planned = child.planned.experiment.steps
        total = steps if is_over and steps else max(planned, steps)
        self._bars.update(self._task(child), completed=steps, total=total, loss=loss)

    def _task(self, child: Child) -> TaskID:
        name = child.run.name
        if name not in self._tasks:
            total = child.planned.experiment.steps
            self._tasks[name] = self._bars.add_task(child.planned.title, total=total, loss="starts")
        return self._tasks[name]

    def _state(self, child: Child) -> tuple[int, str]:
        name = child.run.name
        with suppress(NntraceError):  # the run folder does not exist yet
            trace = self._traces.get(name)
            if trace is None:
                trace = self._traces[name] = Trace.open(child.run)
            else:
                trace.refresh()
            losses = trace.steps.loss
            known = losses[np.isfinite(losses)]
            return len(losses), f"loss {known[-1]:.4g}" if len(known) else "no loss"
        return 0, "starts"
