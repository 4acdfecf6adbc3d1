from pathlib import Path

import pytest
from run_folders import faulty_run, small_run

import nntrace
from nntrace.testing import assert_healthy


@pytest.fixture
def faulty(tmp_path: Path) -> Path:
    return faulty_run(tmp_path / "faulty")


def test_a_healthy_run_passes(tmp_path: Path) -> None:
    assert_healthy(small_run(tmp_path / "a"))


def test_an_unhealthy_run_fails_with_its_diagnosis(faulty: Path) -> None:
    with pytest.raises(AssertionError, match="DAT01 constant-input"):
        assert_healthy(nntrace.open(faulty))


def test_ignored_rules_do_not_fail(faulty: Path) -> None:
    assert_healthy(faulty, ignore=["DAT"])


def test_a_run_that_no_rule_could_judge_does_not_pass(tmp_path: Path) -> None:
    run = small_run(tmp_path / "a", count=1, sites=[], stats=[])
    with pytest.raises(AssertionError, match="nothing judged"):
        assert_healthy(run, select=["ACT"])
