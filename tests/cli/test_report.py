import sys
from pathlib import Path
from typing import Any

import pytest
from cli.commands import Command
from run_folders import small_run

import nntrace.diagnosis.report as bounded
from nntrace.diagnosis import Diagnosis, diagnose
from nntrace.trace import Trace


def test_a_report_is_written_beside_and_named_on_stdout(nntrace: Command, healthy: Path) -> None:
    result = nntrace("report", healthy)
    assert (result.code, result.out) == (0, "healthy.html\n")
    assert Path("healthy.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_with_o_the_report_goes_where_it_is_told(nntrace: Command, faulty: Path) -> None:
    result = nntrace("report", faulty, "-o", "there.html")
    assert (result.code, result.out) == (0, "")
    assert "wrote there.html" in result.err
    assert "DAT01" in Path("there.html").read_text(encoding="utf-8")


def test_charts_are_listed_and_written_one_by_one(nntrace: Command, healthy: Path) -> None:
    assert "loss  Loss" in nntrace("report", healthy, "--chart", "list").out
    assert nntrace("report", healthy, "--chart", "loss", "--format", "svg", "-o", "a.svg").code == 0
    assert Path("a.svg").read_text().startswith("<svg")
    assert nntrace("report", healthy, "--chart", "nope").code == 2


def test_without_the_extra_the_message_says_what_to_install(
    nntrace: Command, healthy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "altair", None)
    result = nntrace("report", healthy)
    assert result.code == 2
    assert 'pip install "nntrace[report]"' in result.err


def test_a_page_in_a_folder_that_does_not_exist_names_the_folder(
    nntrace: Command, healthy: Path, tmp_path: Path
) -> None:
    page = tmp_path / "pages" / "run.html"
    result = nntrace("report", healthy, "-o", page)
    assert result.code == 2
    assert result.err == f"nntrace: {page}: there is no folder {page.parent}.\n"


def test_a_long_run_is_judged_as_by_diagnose_and_drawn_whole(
    nntrace: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded, "MOST_ROWS", 100)
    judged: list[Trace] = []
    drawn: list[Trace] = []

    def judge(trace: Trace, **options: Any) -> Diagnosis:
        judged.append(trace)
        return diagnose(trace, **options)

    def draw(report: bounded.Report, **_: Any) -> str:
        drawn.append(report.trace)
        return ""

    monkeypatch.setattr(bounded, "diagnose", judge)
    monkeypatch.setattr("nntrace.report.render_html", draw)
    assert nntrace("report", small_run(tmp_path / "long", 600)).code == 0
    assert judged[0].samples_left_out
    assert len(drawn[0].sampled_steps) == 600
