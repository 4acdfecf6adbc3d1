"""`user@host:RUN` through ssh; here ssh is a script that runs the command on this machine."""

import asyncio
import errno
import os
import stat
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import monitoring
import pytest
from monitoring import HASTE, shows
from nntrace_tui.app import MonitorApp
from nntrace_tui.export import screen_text
from run_folders import small_run

from nntrace.diagnosis import diagnose
from nntrace.errors import NntraceError
from nntrace.manifest import Manifest
from nntrace.schema import RunStatus
from nntrace.trace import Trace
from nntrace.watch import remote
from nntrace.watch.remote import RemoteRun, remote_spec
from nntrace.watch.remote_runs import RemoteRuns
from nntrace.watch.stream import Frame

NNTRACE = f"{sys.executable} -m nntrace"


def until(holds: Callable[[], bool]) -> None:
    ends = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < ends
        time.sleep(0.05)


@pytest.fixture
def ssh(tmp_path, monkeypatch) -> Path:
    """A folder in which `ssh` writes its pid and its arguments, and runs the last of them here."""
    script = tmp_path / "bin" / "ssh"
    script.parent.mkdir()
    script.write_text(
        "#!/bin/sh\n"
        f'echo "$@" >> {tmp_path}/arguments\n'
        f"echo $$ >> {tmp_path}/pids\n"
        f"[ -e {tmp_path}/down ] && exit 255\n"
        'for last; do :; done\nexec sh -c "exec $last"\n'
    )
    script.chmod(script.stat().st_mode | stat.S_IEXEC)
    monkeypatch.setenv("PATH", f"{script.parent}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


@pytest.fixture
def there(ssh, tmp_path, monkeypatch) -> Iterator[RemoteRun]:
    """A run that goes on elsewhere, tried again after a tenth of a second."""
    monkeypatch.setattr(remote, "_RETRY_SECONDS", (0.1,))
    run = small_run(tmp_path / "run")
    Manifest.begin("run", (), {}).write(run)
    (tmp_path / "mirror").mkdir()
    there = RemoteRun("gpu1", str(run), tmp_path / "mirror", NNTRACE)
    yield there
    there.close()


@pytest.mark.parametrize(
    ("run", "meant"),
    [
        ("me@gpu1:runs/a", ("me@gpu1", "runs/a")),
        ("gpu1:", ("gpu1", "latest")),
        ("me@gpu1:~/a b", ("me@gpu1", "~/a b")),
        ("runs/a:b", None),
        ("latest", None),
        ("s3://bucket/run", None),
        ("-oProxyCommand=x:y", None),
    ],
)
def test_a_remote_run_has_a_colon_before_any_slash(run, meant) -> None:
    assert remote_spec(run) == meant


def test_a_path_that_exists_here_is_not_remote(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("host:run").mkdir()
    assert remote_spec("host:run") is None


def test_a_finished_run_is_mirrored_whole(ssh, tmp_path) -> None:
    run = small_run(tmp_path / "a run; with 'quotes'")
    (tmp_path / "mirror").mkdir()
    there = RemoteRun("me@gpu1", str(run), tmp_path / "mirror", NNTRACE)
    there.connect()
    until(lambda: not there._thread.is_alive())
    assert there.problem() is None
    assert there.where == f"me@gpu1:{run}"
    assert len(Trace.open(there.mirror.folder).steps) == len(Trace.open(run).steps)
    arguments = (ssh / "arguments").read_text()
    assert "me@gpu1" in arguments
    assert "BatchMode" not in arguments


def test_a_lost_connection_is_said_and_taken_up_again(ssh, there, tmp_path) -> None:
    run = tmp_path / "run"
    there.connect()
    until(lambda: there.mirror.have.keys() >= {"rank-00000/steps-00000.arrows"})
    (ssh / "down").touch()
    os.kill(int((ssh / "pids").read_text().split()[-1]), 9)
    until(lambda: "connection to gpu1 is lost" in (there.problem() or ""))
    assert Trace.open(there.mirror.folder).status is RunStatus.RUNNING
    with (run / "rank-00000/steps-00000.arrows").open("ab") as file:
        file.write(b"\xff")
    (ssh / "down").unlink()
    sizes = lambda folder: (folder / "rank-00000/steps-00000.arrows").stat().st_size  # noqa: E731
    until(lambda: sizes(there.mirror.folder) == sizes(run))
    until(lambda: there.problem() is None)
    assert "BatchMode=yes" in (ssh / "arguments").read_text().splitlines()[-1]
    there.close()
    assert not there._thread.is_alive()


def test_a_mirror_that_cannot_be_written_is_not_called_a_lost_connection(
    there, monkeypatch
) -> None:
    def full(frame: Frame) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    there.connect()
    take = there.mirror.take
    monkeypatch.setattr(there.mirror, "take", full)
    until(lambda: there.problem() is not None)
    for _ in range(20):
        assert "No space left on device" in (there.problem() or "")
        time.sleep(0.05)
    monkeypatch.setattr(there.mirror, "take", take)
    until(lambda: there.problem() is None)


def test_an_ssh_that_cannot_be_started_for_a_while_is_tried_again(ssh, there, monkeypatch) -> None:
    there.connect()
    until(lambda: there.mirror.have.keys() >= {"rank-00000/steps-00000.arrows"})
    monkeypatch.setattr(remote, "SSH", ("no-such-ssh",))
    os.kill(int((ssh / "pids").read_text().split()[-1]), 9)
    until(lambda: "cannot start ssh" in (there.problem() or ""))
    monkeypatch.setattr(remote, "SSH", ("ssh",))
    until(lambda: there.problem() is None)
    there.close()
    assert not there._thread.is_alive()


def test_a_run_that_is_not_there_is_a_clear_error(ssh, tmp_path, capfd) -> None:
    (tmp_path / "mirror").mkdir()
    there = RemoteRun("gpu1", str(tmp_path / "none"), tmp_path / "mirror", NNTRACE)
    with pytest.raises(NntraceError, match="nothing came from gpu1"):
        there.connect()
    until(lambda: "there is no run" in capfd.readouterr().err)


def test_a_missing_nntrace_over_there_says_how_to_name_it(ssh, tmp_path) -> None:
    (tmp_path / "mirror").mkdir()
    there = RemoteRun("gpu1", "latest", tmp_path / "mirror", "no-such-nntrace")
    with pytest.raises(NntraceError, match="--remote-nntrace"):
        there.connect()


def test_without_ssh_the_message_says_so(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NntraceError, match="cannot start ssh"):
        RemoteRun("gpu1", "latest", tmp_path).connect()


def runs_of(tmp_path: Path) -> RemoteRuns:
    """Two runs over there, and an empty folder for their mirrors."""
    for seconds, (name, count) in enumerate({"old": 3, "new [red]": 5}.items()):
        run = small_run(tmp_path / "runs" / name, count)
        replace(Manifest.read(run), started_ns=seconds * 10**9, name=name).write(run)
    (tmp_path / "mirrors").mkdir()
    return RemoteRuns("me@gpu1", NNTRACE, tmp_path / "mirrors", diagnose, {})


def test_the_runs_beside_a_remote_one_are_listed_newest_first(ssh, tmp_path) -> None:
    runs = runs_of(tmp_path)
    shown = runs.first(str(tmp_path / "runs"))
    assert runs.where == f"me@gpu1:{tmp_path}/runs"
    rows = runs.rows()
    assert [row.steps for row in rows] == [5, 3]
    assert shown.place == rows[0].place == runs.places()[0]
    assert "BatchMode=yes" in (ssh / "arguments").read_text().splitlines()[-1]
    runs.close()


def test_another_remote_run_takes_the_place_of_the_first(ssh, tmp_path) -> None:
    runs = runs_of(tmp_path)
    first = runs.first(str(tmp_path / "runs"))
    second = runs.watch(runs.rows()[1].place)
    until(lambda: len(Trace.open(second.run).steps) == 3)
    assert not first.run.exists()
    assert second.runs is runs
    runs.close()


def test_a_remote_run_that_is_gone_leaves_the_one_that_is_shown(ssh, tmp_path, capfd) -> None:
    runs = runs_of(tmp_path)
    first = runs.first(str(tmp_path / "runs"))
    capfd.readouterr()
    with pytest.raises(NntraceError, match="nothing came from me@gpu1"):
        runs.watch(f"me@gpu1:{tmp_path}/runs/gone")
    assert first.run.exists()
    assert capfd.readouterr().err == ""  # the screen belongs to the monitor
    runs.close()


def test_an_ssh_that_fails_says_why_there_is_no_list(ssh, tmp_path) -> None:
    runs = runs_of(tmp_path)
    runs.first(str(tmp_path / "runs"))
    (ssh / "down").touch()
    with pytest.raises(NntraceError, match="me@gpu1 did not list its runs: ssh ended with 255"):
        runs.rows()
    runs.close()


@pytest.mark.parametrize(
    "answer", ["[1, null, {}]", '[{"name": "a", "path": 3}]', "{}", '[{"status": [], "name": ""}]']
)
def test_only_what_a_list_of_runs_can_hold_is_taken(tmp_path, monkeypatch, answer) -> None:
    script = tmp_path / "bin" / "ssh"
    script.parent.mkdir()
    script.write_text(f"#!/bin/sh\necho '{answer}'\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{script.parent}{os.pathsep}{os.environ['PATH']}")
    assert RemoteRuns("gpu1", "nntrace", tmp_path, diagnose, {}).rows() == ()


async def test_the_picker_shows_and_opens_runs_of_another_machine(ssh, tmp_path) -> None:
    runs = runs_of(tmp_path)
    watch = await asyncio.to_thread(runs.first, str(tmp_path / "runs"))
    app = MonitorApp(watch, pace=HASTE)
    async with app.run_test(size=(100, 30)) as pilot:
        await monitoring.until(shows(app, "step 4 "))
        await pilot.press("r")
        await monitoring.until(shows(app, "old"))
        assert "Runs in me@gpu1:" in screen_text(app)
        await pilot.press("down", "enter")
        await monitoring.until(shows(app, "step 2 "))
        await pilot.press("greater_than_sign")
        await monitoring.until(shows(app, "step 4 "))
    runs.close()
