import json
from pathlib import Path

import pytest
from cli.commands import Command

from nntrace.recipe import STEPS

PAGE = Path(__file__).parents[2] / "docs" / "recipe.md"


def test_the_card_of_a_run_has_its_evidence_and_no_colours_in_a_pipe(
    nntrace: Command, healthy: Path
) -> None:
    result = nntrace("recipe", healthy)
    assert result.code == 0
    assert result.err == ""
    assert "1 Become one with the data" in result.out
    assert "○ 2.10 Overfit one batch" in result.out
    assert "\x1b" not in result.out


def test_a_finding_fails_its_step_and_the_exit_code_is_0(nntrace: Command, faulty: Path) -> None:
    result = nntrace("recipe", faulty)
    assert result.code == 0
    assert "✗ 1.2  Inputs are present and vary" in result.out
    assert "DAT01: " in result.out


def test_json_has_every_step(nntrace: Command, faulty: Path) -> None:
    content = json.loads(nntrace("recipe", faulty, "--format", "json").out)
    assert [step["number"] for step in content["steps"]] == [step.number for step in STEPS]
    assert content["next"] == "1.2"
    assert content["run"]["steps"] == 6


def test_markdown_is_a_checklist(nntrace: Command, faulty: Path) -> None:
    assert "- [ ] **1.2 " in nntrace("recipe", faulty, "--format", "markdown").out


def test_a_rule_that_is_ignored_verifies_no_step(
    nntrace: Command, faulty: Path, tmp_path: Path
) -> None:
    (tmp_path / "nntrace.toml").write_text('ignore = ["DAT01"]\n')
    assert "DAT01 did not run" in nntrace("recipe", faulty).out


@pytest.mark.parametrize("run", ["nowhere", "a\x1b[31m"])
def test_a_run_that_cannot_be_read_is_one_line_and_exit_2(nntrace: Command, run: str) -> None:
    result = nntrace("recipe", run)
    assert result.code == 2
    assert result.out == ""
    assert result.err.count("\n") == 1


def test_the_list_of_steps_takes_no_run(nntrace: Command, healthy: Path) -> None:
    result = nntrace("recipe", healthy, "--steps")
    assert result.code == 2
    assert "leave out RUN" in result.err


def test_the_page_in_the_documentation_is_up_to_date(nntrace: Command) -> None:
    assert nntrace("recipe", "--steps").out == PAGE.read_text(encoding="utf-8"), (
        "run: python -m nntrace recipe --steps > docs/recipe.md"
    )
