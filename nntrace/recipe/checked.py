"""Adds the probes of a check of the same command to a run's recipe card."""

from pathlib import Path

from nntrace.diagnosis import Diagnosis
from nntrace.runs.find import list_checks
from nntrace.trace import Trace


def find_check(trace: Trace, runs_folder: Path) -> Path | None:
    """The baseline's run folder of the newest check of the same command, if there is any."""
    if trace.experiment is not None or not trace.manifest.command:
        return None
    command = trace.manifest.command, trace.manifest.cwd
    for check in list_checks(runs_folder):
        if (check.manifest.command, check.manifest.cwd) == command:
            return check.path
    return None


def with_probes(diagnosis: Diagnosis, probes: Diagnosis) -> Diagnosis:
    """The diagnosis of a run, with the results of a check's probes in place of its own."""
    codes = {finding.code for finding in probes.findings} | probes.judged
    codes |= {skipped.code for skipped in probes.skipped}
    codes |= {suppressed.finding.code for suppressed in probes.suppressed}
    return Diagnosis(
        (*(f for f in diagnosis.findings if f.code not in codes), *probes.findings),
        (*(s for s in diagnosis.skipped if s.code not in codes), *probes.skipped),
        diagnosis.judged | probes.judged,
        (*(s for s in diagnosis.suppressed if s.finding.code not in codes), *probes.suppressed),
    )
