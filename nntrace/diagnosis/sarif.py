"""The SARIF 2.1.0 form of a diagnosis, which code hosts and editors show beside the code.

One SARIF run stands for one call of the command, however many traced runs it judged. Files below
the working folder are named relative to it, so that a code host finds them in the repository.
https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
"""

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import PurePath
from typing import Any, Final
from urllib.parse import quote

from nntrace import __version__
from nntrace.diagnosis.report import Report
from nntrace.diagnosis.wording import within
from nntrace.manifest import Manifest
from nntrace.rules import Finding, Location, Rule, Severity, get_rule
from nntrace.text import printable
from nntrace.text.json import json_text

SARIF_SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"
INFORMATION_URI: Final = "https://pypi.org/project/nntrace/"
_LEVELS: Final = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
_LONGEST_DESCRIPTION: Final = 1024  # GitHub takes no more


def render_sarif(reports: Sequence[Report]) -> str:
    """The SARIF log of these runs' findings."""
    found = {finding.code for report in reports for finding in report.diagnosis.findings}
    rules = [get_rule(code) for code in sorted(found)]
    index = {rule.code: number for number, rule in enumerate(rules)}
    driver = {
        "name": "nntrace",
        "version": __version__,
        "semanticVersion": __version__,
        "informationUri": INFORMATION_URI,
        "rules": [_descriptor(rule) for rule in rules],
    }
    invocation = {
        "executionSuccessful": True,
        "toolExecutionNotifications": [note for report in reports for note in _skipped(report)],
    }
    results = [
        _result(finding, index[finding.code], report)
        for report in reports
        for finding in report.diagnosis.findings
    ]
    log = {
        "$schema": SARIF_SCHEMA,
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "invocations": [invocation], "results": results}],
    }
    return json_text(log)


def _descriptor(rule: Rule) -> dict[str, Any]:
    doc = rule.doc
    if len(doc) > _LONGEST_DESCRIPTION:
        doc = doc[: _LONGEST_DESCRIPTION - 1] + "…"
    return {
        "id": rule.code,
        "name": rule.name,
        "shortDescription": {"text": rule.summary},
        "fullDescription": {"text": doc},
        "help": {
            "text": f"{rule.doc}\n\nWhat to try: {rule.advice}",
            "markdown": f"{rule.doc}\n\n**What to try.** {rule.advice}",
        },
        "defaultConfiguration": {"level": _LEVELS[rule.severity]},
    }


def _result(finding: Finding, rule_index: int, report: Report) -> dict[str, Any]:
    site = finding.site
    location = finding.location or _script(report.trace.manifest)
    place: dict[str, Any] = {} if location is None else {"physicalLocation": _physical(location)}
    if site is not None and site.path:
        name = printable(site.path)
        place["logicalLocations"] = [{"fullyQualifiedName": name, "kind": "module"}]
    advice = f" {printable(finding.advice)}" if finding.advice else ""
    return {
        "ruleId": finding.code,
        "ruleIndex": rule_index,
        "level": _LEVELS[finding.level],
        "message": {"text": _unlinked(printable(finding.message) + advice)},
        "locations": [place] if place else [],
        "partialFingerprints": {"nntraceFinding/v1": _fingerprint(finding)},
        "properties": {
            "run": report.trace.manifest.name,
            "site": None if site is None else site.path,
            "role": None if site is None else site.role.value,
            "firstStep": finding.steps[0],
            "lastStep": finding.steps[1],
            "evidence": finding.evidence,
            "explainedBy": finding.explained_by,
        },
    }


def _skipped(report: Report) -> Iterator[dict[str, Any]]:
    """A note for each rule that could not judge: silence must not be mistaken for health."""
    for item in report.diagnosis.skipped:
        text = _unlinked(f"{item.code} could not judge: {printable(item.reason)}")
        yield {"level": "note", "message": {"text": text}}


def _physical(location: Location) -> dict[str, Any]:
    region: dict[str, Any] = {"startLine": max(location.line, 1)}
    if location.source:
        region["snippet"] = {"text": location.source}
    return {"artifactLocation": {"uri": _uri(location.file)}, "region": region}


def _script(manifest: Manifest) -> Location | None:
    """Line 1 of the script, the place where a code host shows what concerns the whole run."""
    for word in manifest.command:
        if word.endswith(".py"):
            return Location(os.path.join(manifest.cwd, word), 1)
    return None


def _uri(file: str) -> str:
    relative = within(file)
    if relative is not None:
        return _quoted(PurePath(relative).as_posix())
    return "file://" + _quoted("/" + PurePath(os.path.abspath(file)).as_posix().lstrip("/"))


def _quoted(path: str) -> str:
    return quote(path, errors="backslashreplace")


def _unlinked(text: str) -> str:
    """The text with links (`[text](target)` in SARIF) disabled: user code must not add any."""
    return text.replace("](", "] (")


def _fingerprint(finding: Finding) -> str:
    whole = "\0".join(finding.identity).encode("utf-8", "backslashreplace")
    return hashlib.sha256(whole).hexdigest()
