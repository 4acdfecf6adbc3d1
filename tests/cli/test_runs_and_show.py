import json
import math
from pathlib import Path

import pytest
from cli.commands import Command
from run_folders import segment, sites, small_run, stats, steps, write_run

from nntrace.schema import MANIFEST


def test_runs_are_listed_newest_first_with_steps_and_last_loss(nntrace: Command) -> None:
    small_run(Path("nntrace-runs/old"), manifest={"started_ns": 10**18, "overhead": 0.013})
    small_run(Path("nntrace-runs/new"), count=4, manifest={"started_ns": 2 * 10**18})
    result = nntrace("runs")
    assert (result.code, result.err) == (0, "")
    head, new, old = (line.split() for line in result.out.splitlines())
    assert head == ["name", "status", "started", "steps", "last", "loss", "overhead", "size"]
    assert (new[0], new[1], new[4:7]) == ("new", "finished", ["4", "0.5", "–"])
    assert (old[0], old[1], old[4:7]) == ("old", "finished", ["6", "0.3333", "1.3%"])
    assert new[7:][1] == "kB"


def test_runs_of_a_given_folder_as_json(nntrace: Command, tmp_path: Path) -> None:
    small_run(tmp_path / "elsewhere" / "a")
    (row,) = json.loads(nntrace("runs", "elsewhere", "--format", "json").out)
    assert row["name"] == "a"
    assert row["steps"] == 6
    assert row["damage"] is None


def test_an_unreadable_run_is_a_note_beside_the_list(nntrace: Command) -> None:
    small_run(Path("nntrace-runs/a"))
    small_run(Path("nntrace-runs/b"))
    Path("nntrace-runs/b", MANIFEST).write_text('{"schema": 9}')
    result = nntrace("runs")
    assert result.code == 0
    assert "format 9" in result.err
    assert len(result.out.splitlines()) == 2


def test_a_damaged_run_is_listed_as_damaged(nntrace: Command) -> None:
    small_run(Path("nntrace-runs/a"))
    segment(Path("nntrace-runs/a"), "steps").write_bytes(b"?" * 50)
    assert "damaged" in nntrace("runs").out


@pytest.mark.parametrize(("status", "said"), [("finished", True), ("failed", False)])
def test_a_run_that_tracing_lost_sight_of_says_so(
    nntrace: Command, status: str, said: bool
) -> None:
    small_run(Path("nntrace-runs/a"), manifest={"status": status, "error": "No space left"})
    assert (f"{status}, not traced to the end" in nntrace("runs").out) is said
    (row,) = json.loads(nntrace("runs", "--format", "json").out)
    assert row["is_whole"] is not said


def test_without_a_runs_folder_the_message_says_how_to_record(nntrace: Command) -> None:
    result = nntrace("runs")
    assert result.code == 2
    assert "nntrace run train.py" in result.err


def test_an_empty_runs_folder_is_no_error(nntrace: Command) -> None:
    Path("nntrace-runs").mkdir()
    result = nntrace("runs")
    assert result.code == 0
    assert "nntrace run train.py" in result.err
    assert nntrace("runs", "--format", "json").out == "[]\n"


def test_a_hostile_run_name_is_escaped(nntrace: Command) -> None:
    small_run(Path("nntrace-runs/[red]\x1b[2J"))
    out = nntrace("runs").out
    assert "[red]\\x1b[2J" in out
    assert "\x1b" not in out


def test_show_tells_what_a_run_holds(nntrace: Command, tmp_path: Path) -> None:
    run = small_run(tmp_path / "a", manifest={"command": ("train.py", "--lr", "1")})
    result = nntrace("show", run)
    assert (result.code, result.err) == (0, "")
    assert "command   train.py --lr 1" in result.out
    assert "6 (0–5), 6 sampled, last loss 0.3333" in result.out
    assert "1 seed" in result.out
    rows = [line.split() for line in result.out.splitlines() if line.startswith("fc")]
    assert [row[:2] for row in rows] == [["fc1", "activation"], ["fc2", "activation"]]
    assert rows[1][2:] == ["8×4", "5", "1", "–", "–", "–", "–"]


@pytest.mark.parametrize(("loss", "shown"), [(math.nan, "nan"), (None, "–"), (math.inf, "inf")])
def test_a_last_loss_of_nan_is_told_from_one_that_is_not_recorded(
    nntrace: Command, tmp_path: Path, loss: float | None, shown: str
) -> None:
    run = small_run(tmp_path / "runs" / "a", steps=[{**row, "loss": loss} for row in steps(3)])
    assert f"last loss {shown}\n" in nntrace("show", run).out
    assert nntrace("runs", tmp_path / "runs").out.splitlines()[1].split()[-4] == shown
    page = tmp_path / "page.html"
    nntrace("report", run, "-o", page)
    assert f"last loss <b>{shown}</b>" in page.read_text()
    other = small_run(tmp_path / "other", count=3)
    last = f"last loss {'none' if loss is None else shown} → 0.666667,"
    assert last in nntrace("diff", run, other).out


def test_show_as_json_has_each_sites_last_statistics(nntrace: Command, tmp_path: Path) -> None:
    content = json.loads(nntrace("show", small_run(tmp_path / "a"), "--format", "json").out)
    assert content["steps"] == 6
    assert content["rows"]["stats"] == 12
    assert content["ranks"] == [0]
    assert content["bytes_on_disk"] > 0
    assert content["sites"][1]["last"]["mean"] == 5.0
    assert content["sites"][1]["last"]["min"] is None


def test_show_of_a_run_without_steps_is_no_error(nntrace: Command, tmp_path: Path) -> None:
    result = nntrace("show", write_run(tmp_path / "a", sites=sites("fc1")))
    assert result.code == 0
    assert "none yet" in result.out


def test_show_escapes_names_and_events_of_user_code(nntrace: Command, tmp_path: Path) -> None:
    hostile = "[red]\x1b[2J\nx"
    run = write_run(
        tmp_path / "a",
        sites=[{**sites(hostile)[0], "module_type": hostile}],
        steps=steps(2),
        stats=stats(2, 0),
        events=[{"step": 0, "kind": hostile}],
        manifest={"command": (hostile,), "error": hostile, "git_commit": hostile},
    )
    out = nntrace("show", run).out
    assert out.count("[red]\\x1b[2J\\nx") == 6
    assert "\x1b" not in out


def test_show_notes_a_torn_tail(nntrace: Command, healthy: Path) -> None:
    path = segment(healthy, "stats")
    path.write_bytes(path.read_bytes()[:-90])
    result = nntrace("show", healthy)
    assert result.code == 0
    assert "stats is cut off" in result.err


def test_show_of_no_run_is_one_line_and_exit_2(nntrace: Command) -> None:
    result = nntrace("show", "nowhere")
    assert result.code == 2
    assert result.err.count("\n") == 1
