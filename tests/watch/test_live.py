import sys
from pathlib import Path

import pytest

from nntrace.errors import NntraceError
from nntrace.watch import live


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setattr(live, "has_terminal", lambda: True)


def program(run: Path, code: int) -> list[str]:
    text = (
        f"import pathlib, sys, time; run = pathlib.Path({str(run)!r}); run.mkdir(); "
        "(run / 'manifest.json').write_text('{}'); print('trained', flush=True); "
        f"time.sleep(1); sys.exit({code})"
    )
    return [sys.executable, "-c", text]


def test_without_a_terminal_the_message_says_so(tmp_path):
    with pytest.raises(NntraceError, match="needs a terminal"):
        live.launch_live([sys.executable, "-c", "pass"], {}, tmp_path / "run")


def test_leaving_the_monitor_shows_the_programs_output_and_waits_for_its_exit_code(
    tmp_path, monkeypatch, terminal, capfd
):
    shown = []
    monkeypatch.setattr(live, "load_monitor", lambda: shown.append)
    run = tmp_path / "runs" / "one"
    assert live.launch_live(program(run, 3), {}, run) == 3
    assert [watch.run for watch in shown] == [run]
    assert shown[0].output == tmp_path / "runs" / "one.log"
    assert "trained" in capfd.readouterr().out
    assert (tmp_path / "runs" / "one.log").read_text() == "trained\n"


def test_a_program_that_ends_before_its_first_step_opens_no_monitor(
    tmp_path, monkeypatch, terminal, capfd
):
    monkeypatch.setattr(live, "load_monitor", lambda: pytest.fail)
    words = [sys.executable, "-c", "print('nothing to do'); raise SystemExit(4)"]
    assert live.launch_live(words, {}, tmp_path / "run") == 4
    assert "nothing to do" in capfd.readouterr().out
