from pathlib import Path

import pytest
from run_folders import sites, small_run, stats, steps

import nntrace
from nntrace.errors import ConfigError, NotARunError, UnknownRuleError


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
