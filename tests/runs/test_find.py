import errno
import json
import os
import socket
import threading
from pathlib import Path

import pytest
from run_folders import small_run, write_run

from nntrace.errors import NotARunError, SchemaVersionError
from nntrace.manifest import Manifest
from nntrace.runs.find import find_run, list_runs, wait_for_run
from nntrace.schema import MANIFEST


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The runs folder of an otherwise empty working folder."""
    monkeypatch.chdir(tmp_path)
    runs = tmp_path / "nntrace-runs"
    runs.mkdir()
    return runs


def run_at(path: Path, started: int = 0) -> Path:
    return small_run(path, count=1, manifest={"started_ns": started})


def test_a_run_is_found_by_its_path(tmp_path: Path) -> None:
    run = run_at(tmp_path / "somewhere")
    assert find_run(str(run)) == run


def test_a_run_is_found_by_its_name(folder: Path) -> None:
    run = run_at(folder / "train-1")
    assert find_run("train-1").resolve() == run


def test_the_last_run_of_a_label_is_found_by_the_label(folder: Path) -> None:
    run_at(folder / "my-model-20260101-120000-00aa", started=2)
    run_at(folder / "my-model-20260101-110000-00bb", started=1)
    run_at(folder / "my-model-large-20260101-130000-00cc", started=3)
    run_at(folder / "other", started=4)
    assert find_run("my model").name == "my-model-20260101-120000-00aa"


def test_a_folder_of_that_very_name_comes_before_a_label(folder: Path) -> None:
    run_at(folder / "train-20260101-120000-00aa", started=2)
    run_at(folder / "train", started=1)
    assert find_run("train").name == "train"


def test_a_run_is_found_in_the_configured_folder(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "nntrace.toml").write_text('runs_folder = "elsewhere"')
    run = run_at(tmp_path / "elsewhere" / "train-1")
    assert find_run("train-1") == run
    assert find_run("latest") == run


@pytest.mark.parametrize("name", [None, "latest"])
def test_the_latest_run_is_the_one_that_started_last(folder: Path, name: str | None) -> None:
    run_at(folder / "c", started=1)
    run_at(folder / "a", started=3)
    run_at(folder / "b", started=2)
    assert find_run(name).name == "a"


def test_the_latest_run_is_one_that_can_be_read(folder: Path) -> None:
    run_at(folder / "good", started=1)
    (run_at(folder / "newer format", started=2) / MANIFEST).write_text('{"schema": 9}')
    (folder / "empty").mkdir()
    (folder / "a file").touch()
    silent = folder / "nothing recorded"
    silent.mkdir()
    Manifest("silent", status="finished", started_ns=3).write(silent)
    assert find_run().name == "good"


def test_a_run_that_has_just_begun_is_found_though_it_has_no_streams(folder: Path) -> None:
    run = folder / "young"
    run.mkdir()
    Manifest("young", pid=os.getpid(), host=socket.gethostname()).write(run)
    assert find_run("young").name == "young"
    assert find_run().name == "young"


def test_a_run_comes_before_a_folder_of_the_same_name(folder: Path) -> None:
    Path("train").mkdir()
    run = run_at(folder / "train")
    assert find_run("train").resolve() == run


def test_an_unknown_name_suggests_a_close_one(folder: Path) -> None:
    run_at(folder / "digits-1")
    with pytest.raises(NotARunError, match=r"no run 'digit-1'.*Did you mean 'digits-1'"):
        find_run("digit-1")


def test_an_unknown_name_suggests_a_close_label(folder: Path) -> None:
    run_at(folder / "digits-20260101-120000-00aa")
    with pytest.raises(NotARunError, match=r"no run 'digist'.*Did you mean 'digits'"):
        find_run("digist")


def test_an_unknown_name_without_runs_says_how_to_record_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NotARunError, match=r"nntrace run train\.py"):
        find_run("digits")
    with pytest.raises(NotARunError, match=r"nntrace run train\.py"):
        find_run()


def test_latest_in_an_empty_folder_says_how_to_record_one(folder: Path) -> None:
    with pytest.raises(NotARunError, match=r"nntrace run train\.py"):
        find_run()


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("file", "is a file"),
        ("empty", "is empty"),
        ("other", "has no manifest"),
        ("runs", r"folder of runs.*nntrace runs"),
    ],
)
def test_what_is_no_run_is_called_what_it_is(folder: Path, kind: str, message: str) -> None:
    path = Path("thing")
    if kind == "file":
        path.touch()
    else:
        path.mkdir()
    if kind == "other":
        (path / "notes.txt").touch()
    if kind == "runs":
        run_at(path / "a")
    with pytest.raises(NotARunError, match=message):
        find_run("thing")


def test_a_rank_folder_leads_to_its_run(folder: Path) -> None:
    run = run_at(folder / "a")
    with pytest.raises(NotARunError, match=f"Give the run folder: {run}"):
        find_run(run / "rank-00000")


def test_a_run_in_which_nothing_was_recorded_says_why(tmp_path: Path) -> None:
    Manifest("a", status="failed", error="torch was never imported").write(tmp_path)
    with pytest.raises(NotARunError, match=r"nothing was.*torch was never imported"):
        find_run(tmp_path)


def test_a_run_of_a_newer_format_is_refused(tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_text(json.dumps({"schema": 2}))
    with pytest.raises(SchemaVersionError):
        find_run(tmp_path)


@pytest.mark.parametrize("name", ["", "\0", "no/such/run", "..", "~"])
def test_odd_names_are_no_runs(folder: Path, name: str) -> None:
    with pytest.raises(NotARunError):
        find_run(name)


def test_runs_are_listed_newest_first_and_the_unreadable_apart(folder: Path) -> None:
    for name, started in (("a", 1), ("b", 3), ("c", 2)):
        write_run(folder / name, manifest={"started_ns": started})
    (folder / "a" / MANIFEST).write_text("{")
    runs, unreadable = list_runs(folder)
    assert [run.path.name for run in runs] == ["b", "c"]
    assert len(unreadable) == 1


def test_the_private_run_of_another_user_hides_none_of_the_others(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("mine", "theirs"):
        run_at(folder / name)
    is_there = Path.exists

    def forbidden(path: Path) -> bool:
        if path.parent.name == "theirs":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return is_there(path)

    monkeypatch.setattr(Path, "exists", forbidden)
    assert find_run().name == "mine"
    assert list_runs(folder)[1] == [f"{folder / 'theirs'} cannot be read: Permission denied."]


def test_the_first_run_is_waited_for_and_the_waiting_is_said_once(folder: Path) -> None:
    said: list[Path] = []

    def begin(where: Path) -> None:
        said.append(where)
        threading.Timer(0.5, run_at, [folder / "train-1"]).start()

    assert wait_for_run(waiting=begin).name == "train-1"
    assert [where.resolve() for where in said] == [folder]


def test_a_run_that_is_there_is_not_waited_for(folder: Path) -> None:
    run_at(folder / "train-1")
    assert wait_for_run(waiting=pytest.fail).name == "train-1"


def test_no_run_is_waited_for_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NotARunError, match="is a file"):
        wait_for_run(tmp_path / "file", waiting=pytest.fail)
