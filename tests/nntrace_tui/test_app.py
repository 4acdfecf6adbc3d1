"""The monitor follows a run: what it shows of every state a run can be in."""

import os
import re
import shutil
import subprocess
import sys

import nntrace_tui
import pytest
from monitoring import LARGE, SMALL, cause, monitor, open_page, shows, symptom, text, until
from nntrace_tui.export import screen_text
from nntrace_tui.messages import Look
from nntrace_tui.view import Page
from nntrace_tui.widgets.curve_plot import CurvePlot
from nntrace_tui.widgets.findings_list import FindingsList
from nntrace_tui.widgets.layers_heat import LayersHeat
from nntrace_tui.widgets.run_header import RunHeader
from nntrace_tui.widgets.status_line import StatusLine

from nntrace.diagnosis import diagnose
from nntrace.errors import NntraceError, NotARunError
from nntrace.schema import RunStatus
from nntrace.watch import Watch


@pytest.mark.parametrize("size", [SMALL, LARGE])
async def test_a_finished_run_is_shown_whole(run_folder, size) -> None:
    run_folder.train(120)
    run_folder.end(overhead=0.0123)
    app = monitor(run_folder.path)
    async with app.run_test(size=size) as pilot:
        await until(shows(app, "finished"))
        header = text(app.screen.query_one(RunHeader))
        assert run_folder.path.name in header
        assert "step 120" in header
        assert "10.0 it/s" in header
        assert "overhead 1.2 %" in header
        await pilot.press("2")
        await until(shows(app, "-3.00"))


@pytest.mark.parametrize("size", [SMALL, LARGE])
async def test_every_pane_is_within_the_screen(run_folder, size) -> None:
    run_folder.train(30)
    run_folder.end()
    app = monitor(run_folder.path, (cause, symptom))
    async with app.run_test(size=size):
        await until(shows(app, "XXX02"))
        for pane in (CurvePlot, FindingsList):
            region = app.screen.query_one(pane).region
            assert region.height >= 3
            assert app.screen.region.contains_region(region)


async def test_no_size_of_the_terminal_is_too_much(run_folder) -> None:
    run_folder.train(30)
    run_folder.end()
    app = monitor(run_folder.path, (cause, symptom))
    async with app.run_test(size=(40, 10)) as pilot:
        await until(lambda: app.screen.query_one(FindingsList).option_count == 2)
        for page in Page:
            await open_page(app, pilot, page)
            for size in ((10, 3), (250, 70), (40, 10)):
                await pilot.resize_terminal(*size)
                await until(lambda size=size: app.screen.size == size)


async def test_a_large_terminal_puts_the_layers_beside_the_loss(run_folder) -> None:
    run_folder.train(3)
    run_folder.end()
    app = monitor(run_folder.path)
    async with app.run_test(size=SMALL) as pilot:
        plot, layers = app.screen.query_one("#loss"), app.screen.query_one(LayersHeat)
        assert not layers.display
        await pilot.resize_terminal(*LARGE)
        await until(lambda: layers.display and layers.region.x > plot.region.x)


async def test_a_growing_run_is_followed(run_folder) -> None:
    run_folder.train(10)
    app = monitor(run_folder.path)
    async with app.run_test(size=SMALL):
        await until(shows(app, "running   step 10 "))
        run_folder.train(15)
        await until(shows(app, "step 25 "))
        run_folder.end()
        await until(shows(app, "finished"))


async def test_a_run_that_has_written_no_step_yet_is_shown_as_running(run_folder) -> None:
    app = monitor(run_folder.path)
    async with app.run_test(size=SMALL):
        await until(shows(app, "running   step –"))


async def test_a_run_whose_steps_have_stopped_coming_is_called_stalled(run_folder) -> None:
    run_folder.age(seconds=100)
    run_folder.train(10)
    app = monitor(run_folder.path)
    async with app.run_test(size=SMALL):
        await until(shows(app, "stalled   step 10 "))
        assert re.search(r"no step for [1-9]:\d\d", screen_text(app))


async def test_a_killed_run_is_called_killed(run_folder) -> None:
    run_folder.train(10)
    run_folder.kill()
    app = monitor(run_folder.path)
    async with app.run_test(size=SMALL):
        await until(shows(app, "killed   step 10 "))


async def test_a_run_whose_disk_is_full_is_said_to_be_no_longer_traced(run_folder) -> None:
    run_folder.age(seconds=100)
    run_folder.train(10)
    run_folder.end(RunStatus.RUNNING, error="tracing stopped: OSError: No space left on device")
    app = monitor(run_folder.path)
    async with app.run_test(size=LARGE):
        await until(shows(app, "not traced   step 10 "))
        assert "tracing stopped: OSError: No space left" in screen_text(app)


async def test_a_failed_run_shows_its_error(run_folder) -> None:
    run_folder.train(10)
    run_folder.end(RunStatus.FAILED, error="ValueError: \x1b[31mboom[/red]")
    app = monitor(run_folder.path)
    async with app.run_test(size=LARGE):
        await until(shows(app, "failed"))
        assert r"ValueError: \x1b[31mboom[/red]" in screen_text(app)


@pytest.mark.parametrize("missing_bytes", [3, 200])
async def test_a_torn_stream_is_shown_up_to_the_tear(run_folder, missing_bytes) -> None:
    run_folder.train(5)
    run_folder.train(5)
    run_folder.tear("steps", missing_bytes)
    app = monitor(run_folder.path)
    async with app.run_test(size=SMALL):
        await until(shows(app, "step 5 "))
        assert not app.screen.query_one(StatusLine).display


async def test_a_damaged_stream_becomes_a_line_beside_the_last_good_state(run_folder) -> None:
    run_folder.train(5)
    app = monitor(run_folder.path)
    async with app.run_test(size=SMALL):
        await until(shows(app, "step 5 "))
        with (run_folder.rank / "events-00000.arrows").open("wb") as file:
            file.write(b"not an arrow stream at all")
        await until(shows(app, "is damaged"))
        assert "step 5 " in screen_text(app)


async def test_a_folder_that_is_deleted_meanwhile_becomes_a_line(run_folder) -> None:
    run_folder.train(5)
    app = monitor(run_folder.path)
    async with app.run_test(size=SMALL):
        await until(shows(app, "step 5 "))
        shutil.rmtree(run_folder.path)
        await until(shows(app, "no longer there"))
        assert "step 5 " in screen_text(app)


async def test_names_from_user_code_are_shown_literally(run_folder) -> None:
    name = "[red]x[/]\x1b[2J"
    run_folder.train(5, layers=((name, "[bold]T"), ("b\nc", "Linear"), ("ا.ب\u202e", "Linear")))
    run_folder.end()
    app = monitor(run_folder.path, (symptom,))
    async with app.run_test(size=LARGE) as pilot:
        await until(shows(app, "XXX02"))
        for page in Page:
            await open_page(app, pilot, page)
            assert not {"\x1b", "\u202e"} & set(screen_text(app))
        await open_page(app, pilot, Page.LAYERS)
        shown = screen_text(app)
        assert r"[red]x[/]\x1b[2J" in shown
        assert "[bold]T" in shown
        assert r"b\nc" in shown


async def test_q_detaches_and_leaves_every_byte_of_the_folder_as_it_was(run_folder) -> None:
    run_folder.train(20)
    run_folder.end()
    before = run_folder.contents()
    app = monitor(run_folder.path)
    async with app.run_test(size=SMALL) as pilot:
        await until(shows(app, "finished"))
        await pilot.press("q")
    assert not app.is_running
    assert run_folder.contents() == before


@pytest.mark.parametrize(
    "late",
    [lambda app: app._last, lambda app: Look(page=Page.LAYERS)],
    ids=["update", "look"],
)
async def test_what_comes_while_the_application_closes_changes_nothing(
    run_folder, late, monkeypatch
) -> None:
    run_folder.train(5)
    app = monitor(run_folder.path)
    close_screens = app._close_all

    async def close_screens_then_hear() -> None:
        await close_screens()
        app.post_message(late(app))

    monkeypatch.setattr(app, "_close_all", close_screens_then_hear)
    async with app.run_test(size=SMALL):
        await until(shows(app, "step 5 "))
    assert not app.is_running


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
        await until(shows(app, f"step {len(losses)} "))
        await pilot.press("l")
        await pilot.pause()


async def test_no_color_shows_every_page_without_any_colour(run_folder, monkeypatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    run_folder.train(20)
    app = monitor(run_folder.path)
    async with app.run_test(size=LARGE) as pilot:
        await until(shows(app, "step 20 "))
        for page in Page:
            await open_page(app, pilot, page)
            styles = [
                segment.style
                for strip in app.screen._compositor.render_strips()
                for segment in strip
                if segment.style is not None
            ]
            assert styles
            for style in styles:
                assert style.color is None or style.color.is_default
                assert style.bgcolor is None or style.bgcolor.is_default


def test_a_folder_that_is_not_a_run_is_refused_before_the_screen_is_taken(tmp_path) -> None:
    with pytest.raises(NotARunError):
        nntrace_tui.run(Watch(tmp_path, diagnose))


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
from nntrace.diagnosis import diagnose
from nntrace.errors import NntraceError
from nntrace.watch import Watch
import nntrace_tui
try:
    nntrace_tui.run(Watch(Path(sys.argv[1]), diagnose))
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
