"""The JSON form of a diagnosis, for machines: format 1, stable across runs of the command.

Every number is finite or null, every text encodable (`nntrace.text.json`).
"""

from collections.abc import Sequence
from typing import Any, Final

from nntrace.diagnosis.report import Report
from nntrace.rules import Finding, Location
from nntrace.text.json import json_text

JSON_SCHEMA: Final = 1


def render_json(reports: Sequence[Report]) -> str:
    """The JSON text: an object for one run, a list of such objects for several."""
    objects = [as_json(report) for report in reports]
    return json_text(objects[0] if len(objects) == 1 else objects)


def as_json(report: Report) -> dict[str, Any]:
    """One run's diagnosis as dictionaries and lists, for `json_text`."""
    return {
        "schema": JSON_SCHEMA,
        "run": run_facts(report),
        "findings": [_finding(finding) for finding in report.diagnosis.findings],
        "skipped": [
            {"code": skipped.code, "reason": skipped.reason} for skipped in report.diagnosis.skipped
        ],
        "suppressed": [
            {**_finding(item.finding), "reason": item.reason}
            for item in report.diagnosis.suppressed
        ],
    }


def run_facts(report: Report) -> dict[str, Any]:
    """The facts that identify the run and say how much of it was recorded."""
    trace, manifest = report.trace, report.trace.manifest
    return {
        "name": manifest.name,
        "path": None if trace.path is None else str(trace.path),
        "status": report.status.value,
        "error": manifest.error,
        "command": manifest.command,
        "started_ns": manifest.started_ns,
        "ended_ns": manifest.ended_ns,
        "overhead": trace.overhead,
        "ranks": trace.ranks,
        "rank": trace.rank,
        "steps": len(trace.steps),
        "sampled_steps": len(trace.sampled_steps) + trace.samples_left_out,
        "judged_samples": len(trace.sampled_steps),
        "sites": len(trace.sites),
        "rules": report.rules,
        "torn_streams": report.torn,
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "code": finding.code,
        "name": finding.name,
        "severity": finding.level.value,
        "site": None if finding.site is None else finding.site.path,
        "first_step": finding.steps[0],
        "last_step": finding.steps[1],
        "message": finding.message,
        "advice": finding.advice,
        "evidence": finding.evidence,
        "location": _location(finding.location),
        "explained_by": finding.explained_by,
    }


def _location(location: Location | None) -> dict[str, Any] | None:
    if location is None:
        return None
    return {"file": location.file, "line": location.line, "source": location.source}
