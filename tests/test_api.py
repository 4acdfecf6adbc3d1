import io
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from run_folders import sites, small_run, stats, steps

import nntrace
from nntrace.errors import ConfigError, NntraceError, NotARunError, UnknownRuleError


def test_open_gives_the_trace_of_a_run(tmp_path: Path) -> None:
    trace = nntrace.open(small_run(tmp_path / "a"))
    assert isinstance(trace, nntrace.Trace)
    assert len(trace.steps) == 6


def test_diagnose_takes_a_run_or_a_trace(tmp_path: Path) -> None:
    run = small_run(
        tmp_path / "a",
        sites=sites("input.0", role="input"),
        steps=steps(6),
        stats=stats(6, 0, std=0.0, mean=3.0, min=3.0, max=3.0, example_std=0.0),
    )
    by_path = nntrace.diagnose(run, select=["DAT01"])
    assert [finding.code for finding in by_path.findings] == ["DAT01"]
    assert nntrace.diagnose(nntrace.open(run), select=["DAT01"]) == by_path
    strict = nntrace.diagnose(run, select=["DAT01"], thresholds={"DAT01": {"batches": 99}})
    assert strict.findings == ()


def test_bad_input_raises_our_errors(tmp_path: Path) -> None:
    with pytest.raises(NotARunError):
        nntrace.open(tmp_path)
    run = small_run(tmp_path / "a")
    with pytest.raises(UnknownRuleError):
        nntrace.diagnose(run, select=["ABC"])
    with pytest.raises(ConfigError):
        nntrace.diagnose(run, thresholds={"DAT01": {"colour": 1}})


def test_a_name_that_does_not_exist_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nope'"):
        nntrace.nope  # noqa: B018


def test_the_public_names_are_listed() -> None:
    assert {"open", "diagnose", "Trace", "Diagnosis", "__version__"} <= set(dir(nntrace))


def test_a_trace_gives_its_rows_with_the_names_of_the_sites(tmp_path: Path) -> None:
    trace = nntrace.open(small_run(tmp_path / "a"))
    table = trace.to_arrow()
    assert table.column_names[:3] == ["step", "path", "role"]
    assert table.slice(0, 2)["path"].to_pylist() == ["fc1", "fc2"]
    assert table.num_rows == 12
    assert trace.to_arrow("steps").num_rows == 6


def test_a_data_frame_needs_its_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trace = nntrace.open(small_run(tmp_path / "a"))
    for name in ("pandas", "polars"):
        monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(NntraceError, match=f"pip install {name}"):
            getattr(trace, f"to_{name}")()


def test_a_trace_diagnoses_and_reports_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    trace = nntrace.open(small_run(tmp_path / "a"))
    assert trace.diagnose(select=["RUN03"]).findings == ()
    assert trace.report() == Path("a.html")
    assert trace.report(tmp_path / "b.html").read_text(encoding="utf-8").startswith("<!doctype")


def test_a_trace_and_a_diagnosis_show_themselves(tmp_path: Path) -> None:
    hostile = "<b>[red]x\x1b"
    run = small_run(tmp_path / "a", manifest={"name": hostile}, events=[])
    trace = nntrace.open(run)
    assert repr(trace).startswith("<Trace <b>[red]x\\x1b: status finished, steps 6 (6 sampled)")
    assert "rank 0 of 1>" in repr(trace)
    assert "&lt;b&gt;" in trace._repr_html_()
    assert "<polyline" in trace._repr_html_()
    found = trace.diagnose(select=["RUN03"])
    assert "<li><b>info RUN03" in found._repr_html_()
    assert repr(found) == "<Diagnosis: info RUN03 no-seed>"
    assert repr(replace(found, findings=())) == "<Diagnosis: no problems found>"
    screen = Console(file=io.StringIO(), width=80)
    screen.print(trace)
    screen.print(found)
    text = screen.file.getvalue()
    assert "[red]x\\x1b" in text
    assert "RUN03 no-seed" in text
