"""Gives one verdict for each probe, with the evidence in a sentence."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TypeVar

import numpy as np

from nntrace.diagnosis import Diagnosis
from nntrace.rules import Rule, Severity
from nntrace.rules.probes import advantage, fit, sweep, told
from nntrace.trace import Trace

T = TypeVar("T")


class Outcome(StrEnum):
    """The outcome of a probe."""

    PASSED = "passed"
    NOTED = "noted"
    FAILED = "failed"
    NOT_JUDGED = "not judged"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A probe, its outcome, and why."""

    probe: Rule
    outcome: Outcome
    evidence: str


def verdict(probe: Rule, trace: Trace, diagnosis: Diagnosis) -> Verdict:
    """The verdict on one probe, from the diagnosis of the baseline."""
    found = [finding for finding in diagnosis.findings if finding.code == probe.code]
    if found:
        failed = any(finding.level.weight >= Severity.WARNING.weight for finding in found)
        outcome = Outcome.FAILED if failed else Outcome.NOTED
        return Verdict(probe, outcome, found[0].message)
    reason = next((item.reason for item in diagnosis.skipped if item.code == probe.code), None)
    if reason is not None:
        return Verdict(probe, Outcome.NOT_JUDGED, reason)
    describe = _EVIDENCE.get(probe.code)
    return Verdict(probe, Outcome.PASSED, describe(trace) if describe is not None else "")


def _one_batch(trace: Trace) -> str:
    found = _measured(trace, "overfit", fit)
    if found is None:
        return ""
    accuracy = "" if np.isnan(found.accuracy) else f", accuracy {found.accuracy:.0%}"
    return f"loss {found.start:.3g} → {found.last:.2g} in {found.steps} steps{accuracy}"


def _against(name: str, what: str) -> Callable[[Trace], str]:
    def describe(trace: Trace) -> str:
        found = _measured(trace, name, lambda other: advantage(trace, other))
        if found is None:
            return ""
        return f"loss {found.baseline:.3g}, {what} {found.other:.3g}"

    return describe


def _rates(trace: Trace) -> str:
    found = _measured(trace, "sweep", sweep)
    if found is None or found.low is None or found.high is None or found.own is None:
        return ""
    return (
        f"the loss falls at learning rates from {found.low:.1e} to {found.high:.1e}; the script's "
        f"is {found.own:.1e}"
    )


def _repeated(trace: Trace) -> str:
    other = trace.under("repeat")
    steps = 0 if other is None else min(len(other.steps), len(trace.steps))
    return f"two runs are equal in their first {steps} steps"


def _dependencies(key: str) -> Callable[[Trace], str]:
    def describe(trace: Trace) -> str:
        answer = _facts_of_repeat(trace).get(key)
        return str(answer.get("text", "")) if isinstance(answer, dict) else ""

    return describe


def _functions(trace: Trace) -> str:
    facts = _facts_of_repeat(trace)
    answers = [facts.get(key) for key in ("functions", "layers")]
    names = ", ".join(name for found in answers if isinstance(found, dict) for name in found)
    return f"{names}: each gradient is the derivative of the forward"


def _facts_of_repeat(trace: Trace) -> dict[str, Any]:
    """What the experiment `repeat` found out about the program's functions."""
    return _measured(trace, "repeat", told) or {}


def _measured(trace: Trace, name: str, measure: Callable[[Trace], T | None]) -> T | None:
    """What is measured in the run of another experiment; None where there is no such run."""
    run = trace.under(name)
    return None if run is None else measure(run)


_EVIDENCE: Final[Mapping[str, Callable[[Trace], str]]] = {
    "PRB01": _one_batch,
    "PRB02": _against("blind", "with inputs zeroed"),
    "PRB03": _dependencies("mixing"),
    "PRB04": _dependencies("causality"),
    "PRB05": _functions,
    "PRB06": _against("shuffled", "with targets shuffled"),
    "PRB07": _rates,
    "PRB08": _repeated,
    "PRB09": _against("unregularised", "without dropout and weight decay"),
}
