import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from diagnosis.diagnoses import finding, report

from nntrace import __version__
from nntrace.diagnosis.report import Report
from nntrace.diagnosis.sarif import render_sarif
from nntrace.rules import Location, Severity, Skipped, get_rule
from nntrace.schema import Role
from nntrace.trace import Site

# What the published schema requires of the objects that are written, and the values it allows.
REQUIRED = {
    "log": {"version", "runs"},
    "run": {"tool"},
    "driver": {"name"},
    "rules": {"id"},
    "results": {"message"},
    "invocations": {"executionSuccessful"},
    "toolExecutionNotifications": {"message"},
}
LEVELS = {"none", "note", "warning", "error"}


def log(*reports: Report) -> dict[str, Any]:
    content = json.loads(render_sarif(reports))
    assert isinstance(content, dict)
    return content


def results(*reports: Report) -> list[dict[str, Any]]:
    (run,) = log(*reports)["runs"]
    return list(run["results"])


def uri(file: str) -> str:
    (result,) = results(report([finding(location=Location(file, 3))]))
    return str(result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"])


def test_the_log_has_what_the_schema_requires() -> None:
    skipped = [Skipped("too short", "LOS07")]
    content = log(report([finding(), finding("GRD01", severity=Severity.INFO)], skipped))
    (run,) = content["runs"]
    driver, (invocation,) = run["tool"]["driver"], run["invocations"]
    notes = invocation["toolExecutionNotifications"]
    assert content["version"] == "2.1.0"
    assert content["$schema"].endswith("sarif-2.1.0.json")
    assert REQUIRED["log"] <= content.keys()
    assert REQUIRED["run"] <= run.keys()
    assert REQUIRED["driver"] <= driver.keys()
    assert REQUIRED["invocations"] <= invocation.keys()
    objects = {"rules": driver["rules"], "results": run["results"]}
    objects["toolExecutionNotifications"] = notes
    for name, items in objects.items():
        assert items
        assert all(REQUIRED[name] <= item.keys() for item in items)
    messages = [item["message"] for item in (*run["results"], *notes)]
    assert all(isinstance(message["text"], str) for message in messages)
    assert {item["level"] for item in (*run["results"], *notes)} <= LEVELS


def test_the_tool_is_named_with_its_version() -> None:
    driver = log(report())["runs"][0]["tool"]["driver"]
    assert (driver["name"], driver["version"]) == ("nntrace", __version__)
    assert driver["informationUri"].startswith("https://")


def test_the_rules_found_are_described_once_each() -> None:
    content = log(report([finding(), finding("DAT10")]), report([finding()]))
    (run,) = content["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == ["ACT04", "DAT10"]
    assert [rules[r["ruleIndex"]]["id"] for r in run["results"]] == [
        r["ruleId"] for r in run["results"]
    ]
    known = get_rule("ACT04")
    assert rules[0]["name"] == known.name
    assert rules[0]["shortDescription"]["text"] == known.summary
    assert len(rules[0]["fullDescription"]["text"]) <= 1024
    assert known.advice in rules[0]["help"]["text"]
    assert rules[0]["defaultConfiguration"]["level"] == known.severity


@pytest.mark.parametrize(
    ("severity", "level"),
    [(Severity.ERROR, "error"), (Severity.WARNING, "warning"), (Severity.INFO, "note")],
)
def test_a_severity_has_its_level(severity: Severity, level: str) -> None:
    assert results(report([finding(severity=severity)]))[0]["level"] == level


def test_a_result_points_at_the_line_and_the_site() -> None:
    site = Site(0, "conv1", Role.ACTIVATION)
    place = Location("train.py", 12, "nn.ReLU(),")
    (result,) = results(report([finding(site=site, location=place, evidence={"n": float("nan")})]))
    (location,) = result["locations"]
    assert location["physicalLocation"] == {
        "artifactLocation": {"uri": "train.py"},
        "region": {"startLine": 12, "snippet": {"text": "nn.ReLU(),"}},
    }
    assert location["logicalLocations"] == [{"fullyQualifiedName": "conv1", "kind": "module"}]
    assert result["message"]["text"].startswith("half of conv1 is dead")
    told = result["properties"]
    assert (told["site"], told["firstStep"], told["lastStep"]) == ("conv1", 3, 40)
    assert told["evidence"] == {"n": None}


def test_a_file_below_the_working_folder_is_relative_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert uri(str(tmp_path / "src" / "my train.py")) == "src/my%20train.py"
    assert uri(str(tmp_path / "..data" / "train.py")) == "..data/train.py"
    outside = uri(str(tmp_path.parent / "other" / "träin.py"))
    assert outside.startswith("file:///")
    assert unquote(outside).endswith("/other/träin.py")


def test_what_has_no_line_is_shown_at_the_script(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    command = ("python", "train.py", "--lr", "1")
    (result,) = results(report([finding()], command=command, cwd=str(tmp_path)))
    physical = result["locations"][0]["physicalLocation"]
    assert physical == {"artifactLocation": {"uri": "train.py"}, "region": {"startLine": 1}}
    assert results(report([finding()]))[0]["locations"] == []


def test_a_fingerprint_depends_on_code_and_site_alone() -> None:
    def fingerprint(code: str = "ACT04", path: str = "conv1", **values: Any) -> dict[str, str]:
        site = Site(0, path, Role.ACTIVATION)
        (result,) = results(report([finding(code, site=site, **values)]))
        return dict(result["partialFingerprints"])

    same = fingerprint()
    assert fingerprint(message="other", steps=(7, 8), location=Location("b.py", 9)) == same
    assert fingerprint("GRD01") != same
    assert fingerprint(path="conv2") != same


def test_a_rule_that_could_not_judge_is_a_notification() -> None:
    run = log(report(skipped=[Skipped("too short", "LOS07")]))["runs"][0]
    (note,) = run["invocations"][0]["toolExecutionNotifications"]
    assert note["message"]["text"] == "LOS07 could not judge: too short"
    assert run["results"] == []


def test_text_from_user_code_makes_no_link_and_any_text_can_be_written() -> None:
    hostile = "[click](http://evil)\x1b\ud800\0"
    entry = finding(
        message=hostile,
        site=Site(0, hostile, Role.ACTIVATION),
        evidence={hostile: hostile},
        location=Location("/\ud800\n", 0, hostile),
    )
    (result,) = results(report([entry]))
    assert "](" not in result["message"]["text"]
    assert "\x1b" not in result["message"]["text"]
    assert result["locations"][0]["physicalLocation"]["region"]["startLine"] == 1
