import json

import numpy as np
from run_folders import steps

from nntrace.diagnosis import Diagnosis
from nntrace.diagnosis.json import render_json
from nntrace.diagnosis.report import Report
from nntrace.manifest import Manifest
from nntrace.rules import Finding, Location, Severity, Skipped, Suppressed
from nntrace.schema import Role, RunStatus
from nntrace.trace import Site, Trace

FINDING = Finding(
    "half of conv1 is dead",
    site=Site(3, "conv1", Role.ACTIVATION),
    steps=(3, 40),
    evidence={"dead_fraction": 0.5, "ratio": float("nan"), "units": np.array([1, 2])},
    severity=Severity.ERROR,
    advice="Lower the learning rate.",
    location=Location("train.py", 12, "nn.ReLU(),"),
    code="ACT04",
    name="dead-units",
    explained_by="DAT04",
)


def report(*findings: Finding) -> Report:
    trace = Trace.from_rows(steps=steps(5), manifest=Manifest("run7", status="finished"))
    diagnosis = Diagnosis(findings, (Skipped("too short", "LOS07"),))
    return Report(trace, diagnosis, 20, RunStatus.FINISHED)


def test_one_run_is_one_object_of_the_contract() -> None:
    content = json.loads(render_json([report(FINDING)]))
    assert list(content) == ["schema", "run", "findings", "skipped", "suppressed"]
    assert content["schema"] == 1
    assert content["run"]["name"] == "run7"
    assert content["run"]["steps"] == 5
    assert content["skipped"] == [{"code": "LOS07", "reason": "too short"}]
    assert content["findings"] == [
        {
            "code": "ACT04",
            "name": "dead-units",
            "severity": "error",
            "site": "conv1",
            "first_step": 3,
            "last_step": 40,
            "message": "half of conv1 is dead",
            "advice": "Lower the learning rate.",
            "evidence": {"dead_fraction": 0.5, "ratio": None, "units": [1, 2]},
            "location": {"file": "train.py", "line": 12, "source": "nn.ReLU(),"},
            "explained_by": "DAT04",
        }
    ]


def test_a_suppressed_finding_stands_apart_with_the_reason() -> None:
    diagnosis = Diagnosis((), (), suppressed=(Suppressed(FINDING, "known in b.json"),))
    found = Report(Trace.from_rows(steps=steps(5)), diagnosis, 20, RunStatus.FINISHED)
    content = json.loads(render_json([found]))
    (suppressed,) = content["suppressed"]
    assert content["findings"] == []
    assert (suppressed["code"], suppressed["reason"]) == ("ACT04", "known in b.json")


def test_a_finding_without_site_or_location_has_nulls() -> None:
    (finding,) = json.loads(render_json([report(Finding("no seed"))]))["findings"]
    assert finding["site"] is None
    assert finding["location"] is None
    assert finding["explained_by"] is None


def test_several_runs_are_a_list() -> None:
    content = json.loads(render_json([report(), report()]))
    assert [item["schema"] for item in content] == [1, 1]


def test_the_same_report_gives_the_same_text() -> None:
    assert render_json([report(FINDING)]) == render_json([report(FINDING)])
