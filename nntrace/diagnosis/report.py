"""`Report`: one run with its trace and its diagnosis, ready to be rendered in any format.

Every format is a function of a `Report`; only `make_report` opens a run for them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from nntrace.diagnosis.baseline import Baseline
from nntrace.diagnosis.diagnose import Diagnosis, diagnose
from nntrace.errors import NntraceError
from nntrace.rules import Rule
from nntrace.schema import RunStatus
from nntrace.text import gist
from nntrace.trace import Trace

# The most rows of statistics to read. Of the older samples of a longer run only every second,
# fourth, … is judged, so that a diagnosis never takes more than some hundred megabytes.
MOST_ROWS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Report:
    """One run, its trace and its diagnosis.

    Attributes:
        trace: the trace that was judged.
        diagnosis: the result.
        rules: the number of rules that were asked, skipped ones included.
        status: the status of the run when it was read.
        thresholds: the thresholds that were changed, by rule code and name.
    """

    trace: Trace
    diagnosis: Diagnosis
    rules: int
    status: RunStatus
    thresholds: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def rules_judged(self) -> int:
        """The number of rules that could judge the run."""
        return self.rules - len({skipped.code for skipped in self.diagnosis.skipped})

    @property
    def lost_sight(self) -> bool:
        """Whether tracing stopped before the run did: on a full disk, or by an error of its own."""
        return self.trace.manifest.lost_sight(self.status)

    @property
    def torn(self) -> tuple[str, ...]:
        """The streams whose last record is incomplete; empty while the run is being written."""
        return () if self.status is RunStatus.RUNNING else self.trace.torn_streams


def make_report(
    run: Path | Trace,
    rules: Iterable[Rule],
    thresholds: Mapping[str, Mapping[str, Any]] | None = None,
    baseline: Baseline | None = None,
) -> Report:
    """Open a run, bounded to `MOST_ROWS`, and diagnose it.

    Raises:
        NotARunError, SchemaVersionError, DamagedTraceError: the run cannot be read.
        NntraceError: it holds neither a complete step nor a statistic, nor says why.
    """
    trace = run
    if not isinstance(trace, Trace):
        trace = Trace.open(trace, most_rows=MOST_ROWS, drawn=False)
    status = trace.status
    chosen = tuple(rules)
    found = diagnose(trace, rules=chosen, thresholds=thresholds, baseline=baseline)
    if not (len(trace.steps) or len(trace.sampled_steps) or found.findings):
        raise NntraceError(_nothing_to_judge(trace, status))
    return Report(trace, found, len(chosen), status, thresholds or {})


def _nothing_to_judge(trace: Trace, status: RunStatus) -> str:
    where = trace.path or trace.manifest.name
    if status is RunStatus.RUNNING:
        return f"{where} holds no complete optimizer step yet. Try again once training has begun."
    because = f" It says: {gist(trace.manifest.error)}" if trace.manifest.error else ""
    return f"{where} holds no complete optimizer step: there is nothing to judge.{because}"
