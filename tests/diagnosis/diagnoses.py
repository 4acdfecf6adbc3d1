"""Builds findings and reports for the tests of the output formats."""

from collections.abc import Iterable
from typing import Any

from run_folders import sites, stats, steps

from nntrace.diagnosis import Diagnosis
from nntrace.diagnosis.report import Report
from nntrace.manifest import Manifest
from nntrace.rules import Finding, Severity, Skipped, Suppressed
from nntrace.schema import RunStatus
from nntrace.trace import Trace


def finding(code: str = "ACT04", message: str = "half of conv1 is dead", **values: Any) -> Finding:
    defaults = {"code": code, "name": "dead-units", "severity": Severity.ERROR, "steps": (3, 40)}
    return Finding(message, **{**defaults, **values})


def report(
    findings: Iterable[Finding] = (),
    skipped: Iterable[Skipped] = (),
    *,
    status: RunStatus = RunStatus.FINISHED,
    error: str | None = None,
    rules: int = 20,
    suppressed: Iterable[Suppressed] = (),
    command: tuple[str, ...] = (),
    cwd: str = "",
) -> Report:
    manifest = Manifest("run7", status=status, error=error, command=command, cwd=cwd)
    trace = Trace.from_rows(
        sites=sites("fc1"), steps=steps(50), stats=stats(5, 0), manifest=manifest
    )
    diagnosis = Diagnosis(tuple(findings), tuple(skipped), suppressed=tuple(suppressed))
    return Report(trace, diagnosis, rules, status)
