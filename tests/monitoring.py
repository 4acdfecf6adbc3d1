"""Runs the monitor in Textual's headless terminal, for the tests of tests/nntrace_tui."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from nntrace_tui.app import MonitorApp
from nntrace_tui.export import screen_text
from nntrace_tui.pace import Pace
from nntrace_tui.view import Page
from textual.pilot import Pilot
from textual.widget import Widget

from nntrace.diagnosis import diagnose
from nntrace.rules import Finding, Rule, Severity, Skipped, rule
from nntrace.rules.finding import Location
from nntrace.schema import Role
from nntrace.trace import Trace
from nntrace.watch import Watch
from nntrace.watch.run_lists import LocalRuns

SMALL, LARGE = (80, 24), (160, 48)
HASTE = Pace(running=0.1, idle=0.02, diagnosis=0.02, share=0.5)
_PATIENCE_SECONDS = 20


@rule("XXX01", "cause", Severity.WARNING, advice="Lower the rate.", explains=("XXX02",))
def cause(trace: Trace) -> Iterator[Finding | Skipped]:
    """The rate."""
    location = Location("/home/me/train.py", 12, "SGD(params, lr=[red]9[/red])")
    yield Finding("the rate is 9", evidence={"rate": 9.0}, location=location)


@rule("XXX02", "symptom", Severity.ERROR, advice="Look above.")
def symptom(trace: Trace) -> Iterator[Finding | Skipped]:
    """The weights."""
    yield Finding("weights explode", site=trace.sites_of(Role.ACTIVATION)[0])


@rule("XXX03", "never", Severity.WARNING, advice="", min_steps=10**6)
def never(trace: Trace) -> Iterator[Finding | Skipped]:
    """A rule that cannot judge."""
    yield Finding("it is so")


def monitor(path: Path, rules: Sequence[Rule] = (), **watch: Any) -> MonitorApp:
    """The monitor of a run folder, which refreshes at short intervals."""
    diagnosis = partial(diagnose, rules=rules)
    shown = Watch(path, diagnosis, LocalRuns(path.parent, diagnosis), **watch)
    return MonitorApp(shown, pace=HASTE)


async def until(holds: Callable[[], bool]) -> None:
    """Wait until the condition holds; fails after 20 seconds."""
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while not holds():
            await asyncio.sleep(0.01)


async def open_page(app: MonitorApp, pilot: Pilot[None], page: Page) -> None:
    """Go to a page and wait until it shows what was built for it."""
    await pilot.press(page.key)
    await until(lambda: _shown_page(app) is page)
    await pilot.pause()


def _shown_page(app: MonitorApp) -> Page | None:
    snapshot = getattr(app.screen, "_snapshot", None)
    return None if snapshot is None else snapshot.view.page


def text(widget: Widget) -> str:
    """The text that the widget shows."""
    return "\n".join(widget.render_line(y).text for y in range(widget.size.height))


def shows(app: MonitorApp, words: str) -> Callable[[], bool]:
    """A condition: the screen shows these words."""
    return lambda: words in screen_text(app)
