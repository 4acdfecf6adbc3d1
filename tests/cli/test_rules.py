import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli.commands import Command

from nntrace import rules
from nntrace.cli.catalogue import markdown, rule_page
from nntrace.rules import Finding, Severity, all_rules
from nntrace.trace import Trace

PAGE = Path(__file__).parents[2] / "docs" / "rules.md"


def test_the_list_has_a_line_for_each_rule(nntrace: Command) -> None:
    result = nntrace("rules")
    assert result.code == 0
    for code, rule in all_rules().items():
        assert f"{code}  {rule.severity.value}" in result.out


@pytest.mark.parametrize("word", ["DAT04", "dat04", "unnormalised-input"])
def test_one_rule_is_shown_in_full_by_code_or_name(nntrace: Command, word: str) -> None:
    rule = all_rules()["DAT04"]
    out = nntrace("rules", word).out
    assert out.startswith("DAT04 unnormalised-input")
    assert rule.doc in out
    assert rule.advice in out
    assert "nntrace.rules.data.normalisation" in out
    for threshold in rule.thresholds:
        assert f"{threshold.name} = " in out
        assert threshold.doc in out


def test_the_beginning_of_codes_lists_a_family(nntrace: Command) -> None:
    out = nntrace("rules", "gr").out
    assert "GRD01" in out
    assert "DAT01" not in out


@pytest.mark.parametrize("word", ["XYZ99", "", " ", "no-such-rule", "[red]"])
def test_an_unknown_rule_is_one_line_and_exit_2(nntrace: Command, word: str) -> None:
    result = nntrace("rules", word)
    assert result.code == 2
    assert result.err.count("\n") == 1
    assert "nntrace rules" in result.err


@pytest.mark.parametrize(
    ("word", "near"),
    [
        ("dead-unit", "dead-units"),
        ("Dead_Units", "dead-units"),
        ("ACTT04", "ACT04"),
        ("act-04", "ACT04"),
    ],
)
def test_a_mistyped_rule_gets_a_suggestion(nntrace: Command, word: str, near: str) -> None:
    result = nntrace("rules", word)
    assert result.code == 2
    assert result.err == f"nntrace: there is no rule {word!r}. Did you mean {near!r}?\n"


def test_json_holds_every_declaration(nntrace: Command) -> None:
    content = json.loads(nntrace("rules", "--format", "json").out)
    assert [item["code"] for item in content] == list(all_rules())
    assert {"name", "severity", "doc", "advice", "explains", "needs", "min_steps"} < set(content[0])


def test_the_page_in_the_documentation_is_up_to_date(nntrace: Command) -> None:
    made = nntrace("rules", "--format", "markdown").out
    assert made == PAGE.read_text(encoding="utf-8"), (
        "run: python -m nntrace rules --format markdown > docs/rules.md"
    )


def test_the_page_of_a_rule_leads_to_those_of_its_symptoms_and_causes() -> None:
    rules = all_rules()
    pages = {code: rule_page(rule, tuple(rules.values())) for code, rule in rules.items()}
    for code, page in pages.items():
        linked = set(re.findall(r"\]\((\w+)\.md\)", page))
        assert linked <= set(rules)
        assert page.startswith(f"# {code} {rules[code].name}\n")
        for symptom in rules[code].explains:
            assert symptom not in rules or {symptom} <= linked
            assert symptom not in rules or f"({code}.md)" in pages[symptom]


def test_a_rule_of_a_module_without_a_package_is_on_the_page() -> None:
    def own(trace: Trace) -> Iterator[Finding]:
        """A rule of somebody else's.

        Source: none.
        """
        yield from ()

    own.__module__ = "their_rules"
    page = markdown([rules.rule("XYZ01", "their-own", Severity.INFO, advice="")(own)])
    assert "## XYZ01 their-own" in page
