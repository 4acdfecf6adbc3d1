"""What each key does, on real run folders."""

import os
import re
from dataclasses import replace
from pathlib import Path

import pytest
from monitoring import LARGE, SMALL, cause, monitor, never, open_page, shows, symptom, text, until
from nntrace_tui.export import screen_text
from nntrace_tui.follower import Update
from nntrace_tui.messages import Look
from nntrace_tui.screens.finding import FindingScreen
from nntrace_tui.screens.help import HelpScreen
from nntrace_tui.screens.rules import RuleScreen
from nntrace_tui.screens.runs import RunsScreen
from nntrace_tui.themes import OWN
from nntrace_tui.view import Page
from nntrace_tui.widgets.findings_list import FindingsList
from nntrace_tui.widgets.layers_heat import LayersHeat
from nntrace_tui.widgets.page_tabs import PageTabs
from textual.widgets import Input, Static

from nntrace.rules import Severity, rule


@pytest.fixture
def finished(run_folder):
    """Thirty steps of three layers."""
    run_folder.train(30)
    run_folder.end()
    return run_folder


async def test_symptoms_stand_indented_below_their_cause(finished) -> None:
    app = monitor(finished.path, (symptom, cause))
    async with app.run_test(size=SMALL):
        await until(shows(app, "XXX02"))
        first, second, *_ = text(app.screen.query_one(FindingsList)).splitlines()
        assert first.strip().startswith("W XXX01 the rate is 9")
        assert second.strip().startswith("└ E XXX02")


async def test_the_likeliest_cause_and_its_advice_stand_above_all(finished) -> None:
    app = monitor(finished.path, (symptom, cause))
    async with app.run_test(size=SMALL):
        await until(shows(app, "XXX01 cause  the rate is 9"))
        await until(shows(app, "→ Lower the rate."))


async def test_a_run_without_a_problem_is_said_to_have_none(finished) -> None:
    app = monitor(finished.path)
    async with app.run_test(size=SMALL):
        await until(shows(app, "✔ no problems found"))


async def test_a_run_that_no_rule_could_judge_is_not_said_to_be_well(finished) -> None:
    app = monitor(finished.path, (never,))
    async with app.run_test(size=SMALL):
        await until(shows(app, "nothing judged · 1 rule could not judge"))


async def test_enter_opens_the_details_of_a_finding_and_escape_closes_them(finished) -> None:
    app = monitor(finished.path, (cause, symptom))
    async with app.run_test(size=SMALL) as pilot:
        await until(shows(app, "XXX02"))
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


async def test_l_goes_from_a_finding_to_its_layer(finished) -> None:
    app = monitor(finished.path, (symptom,))
    async with app.run_test(size=SMALL) as pilot:
        await until(shows(app, "XXX02"))
        await pilot.press("enter")
        await until(lambda: isinstance(app.screen, FindingScreen))
        await pilot.press("l")
        await until(shows(app, "features.conv  Conv2d"))


async def test_h_goes_from_a_finding_to_the_documentation_of_its_rule(finished) -> None:
    app = monitor(finished.path)
    async with app.run_test(size=LARGE) as pilot:
        await until(shows(app, "finished"))
        await pilot.press("8")
        await until(shows(app, "ACT04 dead-units"))
        await pilot.press("enter")
        await until(lambda: isinstance(app.screen, RuleScreen))
        assert "[tool.nntrace.rules." in screen_text(app)


async def test_the_highlight_stays_on_its_finding_when_another_appears(run_folder) -> None:
    run_folder.train(5)
    late = rule("XXX00", "late", Severity.ERROR, advice="", min_steps=10)(symptom.check)
    app = monitor(run_folder.path, (late, cause, symptom))
    async with app.run_test(size=SMALL) as pilot:
        findings = app.screen.query_one(FindingsList)
        await until(shows(app, "XXX02"))
        await pilot.press("down")
        run_folder.train(5)
        await until(shows(app, "XXX00"))
        chosen = findings.finding_at(findings.highlighted)
        assert chosen is not None
        assert chosen.code == "XXX02"


async def test_a_question_mark_explains_the_page_that_is_open(finished) -> None:
    app = monitor(finished.path)
    async with app.run_test(size=LARGE) as pilot:
        for page in (Page.OVERVIEW, Page.RANKS):
            await open_page(app, pilot, page)
            about = app.screen.HELP  # type: ignore[attr-defined]
            await pilot.press("question_mark")
            await until(lambda: isinstance(app.screen, HelpScreen))
            assert about.splitlines()[0] in screen_text(app)
            await pilot.press("question_mark")
            assert not isinstance(app.screen, HelpScreen)


async def test_z_gives_the_focused_pane_the_screen_and_takes_it_back(finished) -> None:
    app = monitor(finished.path)
    async with app.run_test(size=SMALL) as pilot:
        await until(shows(app, "finished"))
        await pilot.press("z")
        assert isinstance(app.screen.maximized, FindingsList)
        await pilot.press("z")
        assert app.screen.maximized is None


async def test_a_click_on_a_tab_opens_its_page(finished) -> None:
    app = monitor(finished.path)
    async with app.run_test(size=SMALL) as pilot:
        await until(shows(app, "finished"))
        await pilot.click(PageTabs, offset=(16, 0))
        await until(lambda: app.screen.PAGE is Page.LAYERS)  # type: ignore[attr-defined]


async def test_space_lets_time_stand_still_and_go_on(run_folder) -> None:
    run_folder.train(10)
    app = monitor(run_folder.path)
    async with app.run_test(size=SMALL) as pilot:
        await until(shows(app, "step 10 "))
        await pilot.press("space")
        await until(shows(app, "⏸ at 10"))
        run_folder.train(10)
        await until(shows(app, " 20"))
        assert "step 10 " in screen_text(app)
        await pilot.press("space")
        await until(shows(app, "step 20 "))


async def test_brackets_go_back_and_forth_in_time(finished) -> None:
    app = monitor(finished.path)
    async with app.run_test(size=SMALL) as pilot:
        await until(shows(app, "step 30 "))
        await pilot.press("left_curly_bracket", "left_square_bracket")
        await until(shows(app, "⏸ at 19"))
        await until(shows(app, "step 19 "))
        await pilot.press("right_curly_bracket")
        await until(shows(app, "⏸ at 29"))
        await pilot.press("f")
        await until(shows(app, "step 30 "))
        assert "⏸" not in screen_text(app)


async def test_m_goes_through_the_metrics_and_back(finished) -> None:
    app = monitor(finished.path)
    async with app.run_test(size=SMALL) as pilot:
        await pilot.press("2")
        await until(shows(app, "Layers · activation std"))
        await pilot.press("m")
        await until(shows(app, "Layers · gradient rms"))
        await pilot.press("M", "M")
        await until(shows(app, "Layers · non-finite"))


async def test_a_slash_filters_the_layers_and_escape_clears(finished) -> None:
    app = monitor(finished.path)
    async with app.run_test(size=SMALL) as pilot:
        await pilot.press("2")
        await until(shows(app, "head Linear"))
        await pilot.press("slash", *"feat conv")
        await until(lambda: app.screen.query_one(LayersHeat).count == 1)
        assert "with feat conv" in screen_text(app)
        await pilot.press("enter", "escape")
        assert not app.screen.query_one(Input).display
        await until(lambda: app.screen.query_one(LayersHeat).count == 4)


async def test_left_folds_a_group_of_layers_and_right_unfolds_it(finished) -> None:
    app = monitor(finished.path)
    async with app.run_test(size=SMALL) as pilot:
        await pilot.press("2")
        await until(shows(app, "▾ features"))
        layers = app.screen.query_one(LayersHeat)
        await pilot.press("down", "left")
        await until(shows(app, "▸ features"))
        assert layers.count == 2
        await pilot.press("right")
        await until(lambda: layers.count == 4)


async def test_s_brings_the_layer_that_is_furthest_out_to_the_top(run_folder) -> None:
    run_folder.train(5, std={"head": 90.0})
    run_folder.end()
    app = monitor(run_folder.path)
    async with app.run_test(size=SMALL) as pilot:
        await pilot.press("2")
        layers = app.screen.query_one(LayersHeat)
        await until(lambda: layers.count > 0)
        await pilot.press("s")
        await until(lambda: layers.path_at(0) == "head")


async def test_enter_on_a_layer_opens_it_and_n_goes_to_the_next(finished) -> None:
    app = monitor(finished.path)
    async with app.run_test(size=SMALL) as pilot:
        await pilot.press("2")
        await until(shows(app, "head Linear"))
        await pilot.press("end", "enter")
        await until(shows(app, "head  Linear"))
        await pilot.press("n")
        await until(shows(app, "features.conv  Conv2d"))
        await pilot.press("escape")
        await until(lambda: app.screen.PAGE is Page.LAYERS)  # type: ignore[attr-defined]


async def test_the_statistic_under_the_cursor_is_drawn(finished) -> None:
    app = monitor(finished.path)
    async with app.run_test(size=LARGE) as pilot:
        await pilot.press("3")
        await until(shows(app, "output std"))
        await pilot.press("down")
        await until(shows(app, "output rms"))


async def test_t_goes_through_our_themes(finished) -> None:
    app = monitor(finished.path)
    async with app.run_test(size=SMALL) as pilot:
        seen = [app.theme]
        for _ in OWN:
            await pilot.press("t")
            seen.append(app.theme)
    assert set(seen) == {theme.name for theme in OWN}
    assert seen[0] == seen[-1]


@pytest.mark.parametrize(("key", "suffix"), [("e", ".svg"), ("E", ".txt")])
async def test_e_saves_the_screen(finished, tmp_path, monkeypatch, key, suffix) -> None:
    monkeypatch.chdir(tmp_path)
    app = monitor(finished.path)
    async with app.run_test(size=SMALL) as pilot:
        await until(shows(app, "finished"))
        await pilot.press(key)
        await until(lambda: bool(list(tmp_path.glob(f"*{suffix}"))))
    (saved,) = tmp_path.glob(f"*{suffix}")
    content = re.sub(r"&#160;|\s", " ", saved.read_text())
    assert finished.path.name in content
    assert "Overview" in content


async def test_a_screen_that_cannot_be_saved_is_said_so(finished, tmp_path, monkeypatch) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    app = monitor(finished.path)
    async with app.run_test(notifications=True, size=LARGE) as pilot:
        await until(shows(app, "finished"))
        await pilot.press("e")
        await until(shows(app, "cannot write"))


async def test_y_copies_the_path_of_the_run_or_the_place_of_the_layer(run_folder) -> None:
    run_folder.train(5, place=("/home/me/model.py", 7))
    run_folder.end()
    app = monitor(run_folder.path)
    async with app.run_test(size=SMALL) as pilot:
        await until(shows(app, "finished"))
        await pilot.press("y")
        assert app.clipboard == str(run_folder.path)
        await pilot.press("3")
        await until(shows(app, "model.py:7"))
        await pilot.press("y")
        assert app.clipboard == "/home/me/model.py:7"


async def test_a_path_that_is_not_utf_8_is_copied_escaped(finished) -> None:
    app = monitor(finished.path)
    async with app.run_test(size=SMALL):
        app.copy_to_clipboard(os.fsdecode(b"caf\xe9/train.py:7"))
        assert app.clipboard == "caf\\udce9/train.py:7"


async def test_a_place_below_the_working_folder_is_shown_from_there_on(
    run_folder, tmp_path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run_folder.train(5, place=(str(tmp_path / "net" / "model.py"), 7))
    run_folder.end()
    app = monitor(run_folder.path)
    async with app.run_test(size=SMALL) as pilot:
        await until(shows(app, "finished"))
        await pilot.press("3")
        await until(shows(app, "  net/model.py:7"))


async def test_r_lists_the_runs_and_enter_opens_one(run_folders) -> None:
    old, new = run_folders("old", "new")
    app = monitor(new.path)
    async with app.run_test(size=SMALL) as pilot:
        await until(shows(app, "step 20 "))
        await pilot.press("r")
        await until(lambda: isinstance(app.screen, RunsScreen))
        await until(shows(app, "old"))
        await pilot.press("down", "enter")
        await until(shows(app, "step 10 "))
        assert old.path.name in screen_text(app)


async def test_the_scrollbar_of_a_list_covers_no_figures(run_folders) -> None:
    run_folders(*(f"run{n}" for n in range(24)))
    newest = run_folders("newest")[0]
    app = monitor(newest.path)
    async with app.run_test(size=SMALL) as pilot:
        await until(shows(app, "step "))
        await pilot.press("r")
        await until(lambda: isinstance(app.screen, RunsScreen))
        await until(shows(app, "run1"))
        heading = next(line for line in screen_text(app).splitlines() if "started" in line)
        assert heading.rstrip(" │").endswith("loss")


async def test_angle_brackets_go_to_the_older_and_the_newer_run(run_folders) -> None:
    run_folders("old", "new")
    app = monitor(Path(run_folders.folder) / "new")
    async with app.run_test(notifications=True, size=SMALL) as pilot:
        await until(shows(app, "step 20 "))
        await pilot.press("less_than_sign")
        await until(shows(app, "step 10 "))
        await pilot.press("less_than_sign")
        await until(shows(app, "no older run"))
        await pilot.press("greater_than_sign")
        await until(shows(app, "step 20 "))


async def test_ranks_are_listed_and_chosen(run_folder) -> None:
    run_folder.train(10)
    run_folder.add_rank(1, steps=7)
    run_folder.end()
    app = monitor(run_folder.path)
    async with app.run_test(size=LARGE) as pilot:
        await pilot.press("7")
        await until(shows(app, "2 ranks"))
        await pilot.press("down", "enter")
        await until(shows(app, "rank 1 of 2"))
        assert "step 7 " in screen_text(app)
        await pilot.press("comma")
        await until(shows(app, "rank 0 of 2"))


async def test_ctrl_c_goes_to_the_program_once_and_the_monitor_stays(run_folder) -> None:
    run_folder.train(3)
    interrupts: list[int] = []

    def interrupt() -> bool:
        interrupts.append(1)
        return True

    app = monitor(run_folder.path, interrupt=interrupt)
    async with app.run_test(notifications=True, size=SMALL) as pilot:
        await until(shows(app, "step 3 "))
        await pilot.press("ctrl+c")
        await until(shows(app, "interrupted the program"))
        assert interrupts == [1]
        assert app.is_running


async def test_ctrl_c_after_the_end_of_the_program_says_that_it_has_ended(run_folder) -> None:
    run_folder.train(3)
    app = monitor(run_folder.path, interrupt=lambda: False)
    async with app.run_test(notifications=True, size=SMALL) as pilot:
        await until(shows(app, "step 3 "))
        await pilot.press("ctrl+c")
        await until(shows(app, "the program has ended"))


async def test_the_programs_output_has_a_pane_of_its_own(run_folder, tmp_path) -> None:
    output = tmp_path / "run.log"
    output.write_bytes(b"epoch 1\nbatch 1/9\rbatch 2/9")
    run_folder.train(3)
    app = monitor(run_folder.path, output=output)
    async with app.run_test(size=SMALL):
        await until(shows(app, "batch 2/9"))
        assert "epoch 1" in screen_text(app)
        assert "batch 1/9" not in screen_text(app)
        with output.open("ab") as file:
            file.write(b"\rbatch \x1b[31m3\x1b[0m/9\n\x1b[2Jdone\n")
        await until(shows(app, "done"))
        assert "batch 3/9" in screen_text(app)
        assert "batch 2/9" not in screen_text(app)


async def test_a_page_that_opens_does_not_go_back_to_an_older_state(finished) -> None:
    app = monitor(finished.path)
    async with app.run_test(size=SMALL) as pilot:
        await until(shows(app, "finished"))
        app._follower.stop()
        await pilot.pause()
        assert app._last is not None
        assert app._last.snapshot is not None
        shown = app._last.snapshot
        newer = Update(replace(shown, run=replace(shown.run, step=777)), None)
        await app.on_look(Look(page=Page.DATA))
        app.on_update(newer)  # before the page was painted
        await pilot.pause()
        assert "step 777 " in screen_text(app)


async def test_the_command_palette_knows_the_pages(finished) -> None:
    app = monitor(finished.path)
    async with app.run_test(size=SMALL) as pilot:
        await until(shows(app, "finished"))
        await pilot.press("ctrl+p")
        await until(shows(app, "Numerics"))
        await pilot.press(*"numer")
        await pilot.pause(0.3)
        await pilot.press("enter")
        await until(lambda: getattr(app.screen, "PAGE", None) is Page.NUMERICS)


async def test_h_puts_the_histograms_in_the_place_of_the_curve_on_a_narrow_terminal(
    finished,
) -> None:
    edges, counts = [-0.5, 0.25, 0.5], [3, 5, 2]
    rows = [{"step": n, "site": 0, "edges": edges, "counts": counts} for n in (1, 11, 21)]
    finished.append("histograms", rows)
    app = monitor(finished.path)
    async with app.run_test(size=SMALL) as pilot:
        await open_page(app, pilot, Page.LAYER)
        curve, histogram = app.screen.query_one("#statistic"), app.screen.query_one("#histogram")
        assert (curve.display, histogram.display) == (True, False)
        await pilot.press("h")
        await until(lambda: "0.25" in text(histogram))
        assert (curve.display, histogram.display) == (False, True)
        await pilot.resize_terminal(*LARGE)
        await until(lambda: curve.display and histogram.display)
