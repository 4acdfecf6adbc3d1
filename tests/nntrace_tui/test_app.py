"""The monitor in Textual's headless terminal, on real run folders."""

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import nntrace_tui
import pytest
from nntrace_tui.app import MonitorApp
from nntrace_tui.follower import Pace
from nntrace_tui.screens.finding import FindingScreen
from nntrace_tui.screens.help import HelpScreen
from nntrace_tui.widgets.findings_list import FindingsList
from nntrace_tui.widgets.layers_table import LayersTable
from nntrace_tui.widgets.loss_plot import LossPlot
from nntrace_tui.widgets.run_header import RunHeader
from nntrace_tui.widgets.status_line import StatusLine
from textual.widget import Widget
from textual.widgets import Static

from nntrace.diagnosis import diagnose
from nntrace.errors import NntraceError, NotARunError
from nntrace.rules import Finding, Severity, Skipped, rule
from nntrace.rules.finding import Location
from nntrace.schema import Role, RunStatus
from nntrace.trace import Trace

SMALL, LARGE = (80, 24), (140, 40)
HASTE = Pace(running=0.1, idle=0.02, diagnosis=0.02)


@rule("XXX01", "cause", Severity.WARNING, advice="Lower the rate.", explains=("XXX02",))
def cause(trace: Trace) -> Iterator[Finding | Skipped]:
    """The rate."""
    location = Location("/home/me/train.py", 12, "SGD(params, lr=[red]9[/red])")
    yield Finding("the rate is 9", evidence={"rate": 9.0}, location=location)


@rule("XXX02", "symptom", Severity.ERROR, advice="Look above.")
def symptom(trace: Trace) -> Iterator[Finding | Skipped]:
    """The weights."""
    yield Finding("weights explode", site=trace.sites_of(Role.ACTIVATION)[0])


def monitor(path: Path, rules: tuple[object, ...] = ()) -> MonitorApp:
    return MonitorApp(path, pace=HASTE, diagnose=partial(diagnose, rules=rules))  # type: ignore[arg-type]


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not holds():
            await asyncio.sleep(0.01)


def text(widget: Widget) -> str:
    return "\n".join(widget.render_line(y).text for y in range(widget.size.height))


def shows(app: MonitorApp, widget: type[Widget], words: str) -> Callable[[], bool]:
    return lambda: words in text(app.screen_stack[0].query_one(widget))


@pytest.mark.parametrize("size", [SMALL, LARGE])
async def test_a_finished_run_is_shown_whole(run_folder, size) -> None:
    run_folder.train(120)
    run_folder.end(overhead=0.0123)
    app = monitor(run_folder.path)
    async with app.run_test(size=size):
        await until(shows(app, RunHeader, "finished"))
        header = text(app.screen.query_one(RunHeader))
        assert run_folder.path.name in header
        assert "step 120" in header
        assert "10.0 it/s" in header
        assert "overhead 1.2 %" in header
        await until(shows(app, LayersTable, "features.conv"))
        assert "-3.00" in text(app.screen.query_one(LayersTable))


@pytest.mark.parametrize("size", [SMALL, LARGE])
async def test_every_pane_is_within_the_screen(run_folder, size) -> None:
    run_folder.train(30)
    run_folder.end()
    app = monitor(run_folder.path, (cause, symptom))
    async with app.run_test(size=size):
        await until(shows(app, FindingsList, "XXX02"))
        for pane in (LossPlot, LayersTable, FindingsList):
            region = app.screen.query_one(pane).region
            assert region.height >= 3
            assert app.screen.region.contains_region(region)


@pytest.mark.parametrize("size", [(40, 10), (10, 3), (250, 70)])
async def test_no_size_of_the_terminal_is_too_much(run_folder, size) -> None:
    run_folder.train(30)
    run_folder.end()
    app = monitor(run_folder.path, (cause, symptom))
    async with app.run_test(size=size) as pilot:
        await until(lambda: app.screen.query_one(FindingsList).option_count == 2)
        await pilot.pause()


async def test_a_large_terminal_puts_the_layers_beside_the_loss(run_folder) -> None:
    run_folder.train(3)
    run_folder.end()
    app = monitor(run_folder.path)
    async with app.run_test(size=SMALL) as pilot:
        plot, layers = app.screen.query_one(LossPlot), app.screen.query_one(LayersTable)
        assert layers.region.y > plot.region.y
        await pilot.resize_terminal(*LARGE)
        await until(lambda: layers.region.y == plot.region.y)
        assert layers.region.x > plot.region.x


async def test_a_growing_run_is_followed(run_folder) -> None:
    run_folder.train(10)
    app = monitor(run_folder.path)
    async with app.run_test(size=SMALL):
        await until(shows(app, RunHeader, "running   step 10 "))
        run_folder.train(15)
        await until(shows(app, RunHeader, "step 25 "))
        run_folder.end()
        await until(shows(app, RunHeader, "finished"))


async def test_a_run_that_has_written_no_step_yet_is_shown_as_running(run_folder) -> None:
    app = monitor(run_folder.path)
    async with app.run_test(size=SMALL):
        await until(shows(app, RunHeader, "running   step –"))


async def test_a_killed_run_is_called_killed(run_folder) -> None:
    run_folder.train(10)
    run_folder.kill()
    app = monitor(run_folder.path)
    async with app.run_test(size=SMALL):
        await until(shows(app, RunHeader, "killed   step 10 "))


async def test_a_failed_run_shows_its_error(run_folder) -> None:
    run_folder.train(10)
    run_folder.end(RunStatus.FAILED, error="ValueError: \x1b[31mboom[/red]")
    app = monitor(run_folder.path)
    async with app.run_test(size=LARGE):
        await until(shows(app, RunHeader, "failed"))
        assert r"ValueError: \x1b[31mboom[/red]" in text(app.screen.query_one(RunHeader))


@pytest.mark.parametrize("missing_bytes", [3, 200])
async def test_a_torn_stream_is_shown_up_to_the_tear(run_folder, missing_bytes) -> None:
    run_folder.train(5)
    run_folder.train(5)
    run_folder.tear("steps", missing_bytes)
    app = monitor(run_folder.path)
    async with app.run_test(size=SMALL):
        await until(shows(app, RunHeader, "step 5 "))
        assert not app.screen.query_one(StatusLine).display


async def test_a_damaged_stream_becomes_a_line_beside_the_last_good_state(run_folder) -> None:
    run_folder.train(5)
    app = monitor(run_folder.path)
    async with app.run_test(size=SMALL):
        await until(shows(app, RunHeader, "step 5 "))
        with (run_folder.rank / "events-00000.arrows").open("wb") as file:
            file.write(b"not an arrow stream at all")
        await until(lambda: "is damaged" in text(app.screen.query_one(StatusLine)))
        assert "step 5 " in text(app.screen.query_one(RunHeader))


async def test_a_folder_that_is_deleted_meanwhile_becomes_a_line(run_folder) -> None:
    run_folder.train(5)
    app = monitor(run_folder.path)
    async with app.run_test(size=SMALL):
        await until(shows(app, RunHeader, "step 5 "))
        shutil.rmtree(run_folder.path)
        await until(lambda: "no longer there" in text(app.screen.query_one(StatusLine)))
        assert "step 5 " in text(app.screen.query_one(RunHeader))


async def test_names_from_user_code_are_shown_literally(run_folder) -> None:
    run_folder.train(5, layers=(("[red]x[/]\x1b[2J", "[bold]T"), ("b\nc", "Linear")))
    run_folder.end()
    app = monitor(run_folder.path)
    async with app.run_test(size=LARGE):
        await until(shows(app, LayersTable, r"[red]x[/]\x1b[2J"))
        table = text(app.screen.query_one(LayersTable))
        assert "[bold]T" in table
        assert r"b\nc" in table


async def test_symptoms_stand_indented_below_their_cause(run_folder) -> None:
    run_folder.train(5)
    run_folder.end()
    app = monitor(run_folder.path, (symptom, cause))
    async with app.run_test(size=SMALL):
        await until(shows(app, FindingsList, "XXX02"))
        first, second, *_ = text(app.screen.query_one(FindingsList)).splitlines()
        assert first.strip().startswith("W XXX01 the rate is 9")
        assert second.strip().startswith("└ E XXX02")


async def test_enter_opens_the_details_of_a_finding_and_escape_closes_them(run_folder) -> None:
    run_folder.train(5)
    run_folder.end()
    app = monitor(run_folder.path, (cause, symptom))
    async with app.run_test(size=SMALL) as pilot:
        await until(shows(app, FindingsList, "XXX02"))
        await pilot.press("enter")
        await until(lambda: isinstance(app.screen, FindingScreen))
        shown = text(app.screen.query_one(".card Static", Static))
        for words in (
            "XXX01 cause",
            "the rate is 9",
            "rate: 9",
            "Lower the rate.",
            "/home/me/train.py:12",
            "SGD(params, lr=[red]9[/red])",
        ):
            assert words in shown
        await pilot.press("escape")
        assert not isinstance(app.screen, FindingScreen)


async def test_the_highlight_stays_on_its_finding_when_another_appears(run_folder) -> None:
    run_folder.train(5)
    late = rule("XXX00", "late", Severity.ERROR, advice="", min_steps=10)(symptom.check)
    app = monitor(run_folder.path, (late, cause, symptom))
    async with app.run_test(size=SMALL) as pilot:
        findings = app.screen.query_one(FindingsList)
        await until(shows(app, FindingsList, "XXX02"))
        await pilot.press("down")
        run_folder.train(5)
        await until(shows(app, FindingsList, "XXX00"))
        chosen = findings.finding_at(findings.highlighted)
        assert chosen is not None
        assert chosen.code == "XXX02"


async def test_a_question_mark_opens_the_help(run_folder) -> None:
    run_folder.end()
    app = monitor(run_folder.path)
    async with app.run_test(size=SMALL) as pilot:
        await pilot.press("question_mark")
        await until(lambda: isinstance(app.screen, HelpScreen))
        await pilot.press("question_mark")
        assert not isinstance(app.screen, HelpScreen)


async def test_z_gives_the_focused_pane_the_screen_and_takes_it_back(run_folder) -> None:
    run_folder.train(5)
    run_folder.end()
    app = monitor(run_folder.path)
    async with app.run_test(size=SMALL) as pilot:
        await until(shows(app, LayersTable, "head"))
        await pilot.press("tab", "z")
        assert isinstance(app.screen.maximized, LayersTable | FindingsList)
        await pilot.press("z")
        assert app.screen.maximized is None


async def test_q_detaches_and_leaves_every_byte_of_the_folder_as_it_was(run_folder) -> None:
    run_folder.train(20)
    run_folder.end()
    before = run_folder.contents()
    app = monitor(run_folder.path)
    async with app.run_test(size=SMALL) as pilot:
        await until(shows(app, RunHeader, "finished"))
        await pilot.press("q")
    assert not app.is_running
    assert run_folder.contents() == before


@pytest.mark.parametrize(
    "losses",
    [
        (1.0, 1.0, 1.0),
        (0.0, 0.0),
        (1e-30, 1e30),
        (-1.0, 3e300),
        (float("nan"), float("inf")),
        (5.0,),
        (5e-324, 1.7e308),
        (-1.7e308, 1.7e308),
    ],
)
async def test_any_loss_can_be_drawn(run_folder, losses) -> None:
    run_folder.train(len(losses), loss=lambda step: losses[step - 1])
    run_folder.end()
    app = monitor(run_folder.path)
    async with app.run_test(size=SMALL) as pilot:
        await until(shows(app, RunHeader, f"step {len(losses)} "))
        await pilot.pause()


async def test_no_color_shows_the_screen_without_any_colour(run_folder, monkeypatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    run_folder.train(20)
    app = monitor(run_folder.path)
    async with app.run_test(size=SMALL):
        await until(shows(app, RunHeader, "step 20 "))
        styles = [
            segment.style
            for strip in app.screen._compositor.render_strips()
            for segment in strip
            if segment.style is not None
        ]
    assert styles
    assert all(style.color is None or style.color.is_default for style in styles)
    assert all(style.bgcolor is None or style.bgcolor.is_default for style in styles)


def test_a_folder_that_is_not_a_run_is_refused_before_the_screen_is_taken(tmp_path) -> None:
    with pytest.raises(NotARunError):
        nntrace_tui.run(tmp_path)


def test_without_a_terminal_the_monitor_names_the_commands_that_print_text(run_folder) -> None:
    process = subprocess.run(
        [sys.executable, "-c", _RUN, str(run_folder.path)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env={**os.environ, "TERM": "xterm"},
        check=False,
    )
    assert NntraceError.__name__ in process.stderr
    assert "nntrace diagnose" in process.stderr


_RUN = """
import sys
from pathlib import Path
from nntrace.errors import NntraceError
import nntrace_tui
try:
    nntrace_tui.run(Path(sys.argv[1]))
except NntraceError as error:
    sys.exit(f"NntraceError: {error}")
"""


def test_importing_the_entry_point_does_not_import_textual() -> None:
    check = "import sys, nntrace_tui; sys.exit('textual' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0


def test_the_application_imports_no_framework_and_no_recorder() -> None:
    check = (
        "import sys, nntrace_tui.app; "
        "sys.exit(bool({'torch', 'nntrace.recorder', 'nntrace_torch'} & set(sys.modules)))"
    )
    process = subprocess.run([sys.executable, "-c", check], capture_output=True, check=False)
    assert process.returncode == 0, process.stderr
