"""The forms of a finished check, on a synthetic one."""

import json
from pathlib import Path

import pytest
from rules.checks import swept

from nntrace.check.check import Checked
from nntrace.check.output import render
from nntrace.diagnosis.report import make_report
from nntrace.rules import select_rules


@pytest.fixture
def too_high():
    """A check of the sweep alone, of a script whose rate is too high."""
    rules = select_rules(("PRB07", "PRB08"))
    report = make_report(swept(3.0), rules, {})
    return Checked(Path("nntrace-runs/train-check"), (), report, rules, seconds=12.0)


def test_sarif_holds_the_failed_probe_and_what_could_not_judge(too_high):
    (run,) = json.loads(render(too_high, "sarif"))["runs"]
    (result,) = run["results"]
    assert (result["ruleId"], result["level"]) == ("PRB07", "warning")
    assert "too high" in result["message"]["text"]
    (note,) = run["invocations"][0]["toolExecutionNotifications"]
    assert note["message"]["text"].startswith("PRB08")


def test_markdown_draws_the_curve_of_learning_rates(too_high):
    page = render(too_high, "markdown")
    curve = page.split("```text")[1].split("```")[0]
    assert "1e-3" in curve
    assert "the script's 3.0e+00" in curve
    assert "| ✗ | PRB07 lr-range |" in page


def test_json_names_the_outcome_of_each_probe(too_high):
    probes = json.loads(render(too_high, "json"))["probes"]
    assert [(p["code"], p["outcome"]) for p in probes] == [
        ("PRB07", "failed"),
        ("PRB08", "not judged"),
    ]
