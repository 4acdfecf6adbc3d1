from pathlib import Path
from typing import Any

import pytest
from cli.commands import Command
from run_folders import small_run

from nntrace.watch import Watch, live


class Entry:
    """An installed monitor."""

    name = "fake"

    def __init__(self, result: Any) -> None:
        self.result = result

    def load(self) -> Any:
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


def install(monkeypatch: pytest.MonkeyPatch, *entries: Entry) -> None:
    monkeypatch.setattr("nntrace.watch.live.entry_points", lambda group: list(entries))


def test_the_monitor_is_shown_the_newest_run(
    nntrace: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Watch] = []
    install(monkeypatch, Entry(seen.append))
    small_run(Path("nntrace-runs/old"), manifest={"started_ns": 1})
    small_run(Path("nntrace-runs/new"), manifest={"started_ns": 2})
    assert nntrace("monitor").code == 0
    assert [watch.run.name for watch in seen] == ["new"]


def test_the_monitor_judges_by_the_configured_rules_and_thresholds(
    nntrace: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Watch] = []
    install(monkeypatch, Entry(seen.append))
    small_run(Path("nntrace-runs/one"), manifest={"started_ns": 1})
    Path("nntrace.toml").write_text('select = ["DAT"]\n[rules.DAT04]\nscale = 99.0\n')
    assert nntrace("monitor").code == 0
    diagnose = seen[0].diagnose
    assert {rule.code[:3] for rule in diagnose.keywords["rules"]} == {"DAT"}  # type: ignore[attr-defined]
    assert diagnose.keywords["thresholds"] == {"DAT04": {"scale": 99.0}}  # type: ignore[attr-defined]


@pytest.mark.parametrize("missing", [True, False])
def test_without_textual_the_message_says_what_to_install(
    nntrace: Command, healthy: Path, monkeypatch: pytest.MonkeyPatch, missing: bool
) -> None:
    error = ModuleNotFoundError("no textual", name="textual")
    install(monkeypatch, *([Entry(error)] if missing else []))
    result = nntrace("monitor", healthy)
    assert result.code == 2
    assert 'pip install "nntrace[tui]"' in result.err
    assert result.err.count("\n") == 1


def test_the_built_in_monitor_is_an_entry_of_the_group() -> None:
    from importlib.metadata import entry_points

    assert "textual" in {entry.name for entry in entry_points(group=live.GROUP)}


def test_a_missing_run_is_one_line_and_exit_2(nntrace: Command) -> None:
    result = nntrace("monitor", "nowhere")
    assert result.code == 2
    assert result.err.count("\n") == 1
