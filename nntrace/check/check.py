"""Runs the experiments on a command, several at a time, and judges them: the result is a `Checked`.

The rules see ordinary run folders: `nntrace diagnose FOLDER/baseline` gives the same findings
afterwards.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from nntrace.check.changed_files import changed, folders_of, states
from nntrace.check.children import Child, Command
from nntrace.check.containment import WRITTEN
from nntrace.check.plan import Planned, at_another_rate, plan
from nntrace.check.verdicts import Outcome, Verdict, verdict
from nntrace.diagnosis.report import Report, make_report
from nntrace.errors import NntraceError
from nntrace.experiment import BASELINE
from nntrace.rules import Rule, Severity
from nntrace.rules.probes import fit, problem, sweep, told
from nntrace.trace import Trace

_POLL_SECONDS: Final = 0.1
_NO_TIME: Final = "there was no time left for it; give the check a longer --time-limit"
_SAME_RATE: Final = 2.0  # a rate within this factor of the script's own is not worth a second try


@dataclass(frozen=True, slots=True)
class ExperimentRun:
    """The outcome of one experiment.

    Attributes:
        planned: its plan.
        run: the run folder.
        seconds: how long it took.
        failure: why there is no usable run; "" when there is one.
        escapes: pairs (kind, name) of what could not be kept inside the sandbox; the kinds are
            those of `containment`.
        shared: the user's folders that were linked as a whole instead of rebuilt in the sandbox.
    """

    planned: Planned
    run: Path
    seconds: float
    failure: str = ""
    escapes: tuple[tuple[str, str], ...] = ()
    shared: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Checked:
    """A finished check.

    Attributes:
        folder: the folder of its runs.
        experiments: its experiments, in the order in which they ended.
        report: the report on the baseline.
        probes: the probes that were asked for.
        seconds: how long the check took.
        changed: the user's files that were written to during the check without an audit event: by
            native code of the script, or by another program.
    """

    folder: Path
    experiments: tuple[ExperimentRun, ...]
    report: Report
    probes: tuple[Rule, ...]
    seconds: float
    changed: tuple[str, ...] = ()

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """One verdict for each probe, in the order of the probes' codes."""
        report = self.report
        return tuple(verdict(probe, report.trace, report.diagnosis) for probe in self.probes)

    @property
    def has_failed(self) -> bool:
        """Whether a probe failed, or a passive rule found an error in the script itself."""
        failed = any(one.outcome is Outcome.FAILED for one in self.verdicts)
        return failed or self.report.diagnosis.count(Severity.ERROR) > 0

    def escapes(self, kind: str) -> tuple[str, ...]:
        """All that escaped the sandbox, of one kind: places written to, hosts or programs."""
        escapes = (escape for one in self.experiments for escape in one.escapes)
        return tuple(dict.fromkeys(name for of, name in escapes if of == kind))


Watcher = Callable[[Sequence[Child]], None]


@dataclass(slots=True)
class Check:
    """One check of a command.

    Attributes:
        command: the user's command.
        folder: the folder of the runs, one for each experiment, named after it.
        rules: all rules to judge by; those with experiments are the probes.
        thresholds: overrides of thresholds by rule code.
        steps: the number of optimizer steps of each experiment.
        time_limit: seconds for the whole check.
        jobs: the number of experiments that run at a time.
        watch: called with the running children about ten times a second.
    """

    command: Command
    folder: Path
    rules: tuple[Rule, ...]
    thresholds: Mapping[str, Mapping[str, Any]]
    steps: int
    time_limit: float
    jobs: int
    watch: Watcher = lambda children: None
    _done: list[ExperimentRun] = field(default_factory=list)

    def run(self) -> Checked:
        """Run the experiments and judge them.

        Raises:
            NntraceError: the script does not train in the sandbox, even unchanged.
        """
        began = time.monotonic()
        self.folder.mkdir(parents=True)
        places = folders_of(self.command.words, self.command.folder)
        before = states(places, self.command.left_out)
        probes = tuple(rule for rule in self.rules if rule.experiments)
        first = plan(probes, self.steps, self.time_limit)
        # Of training time alone: how long importing and loading take is not known beforehand.
        share = self.time_limit * self.jobs / (len(first) + 1)
        deadline = began + self.time_limit
        self._run_all(plan(probes, self.steps, share), deadline)
        if (again := self._second_try(share)) is not None:
            self._run_all((again,), deadline)
        audited = {name for done in self._done for kind, name in done.escapes if kind == WRITTEN}
        unaudited = changed(before, states(places, self.command.left_out))
        return Checked(
            folder=self.folder,
            experiments=tuple(self._done),
            report=make_report(self.folder / BASELINE, self.rules, self.thresholds),
            probes=probes,
            seconds=time.monotonic() - began,
            changed=tuple(path for path in unaudited if path not in audited),
        )

    def _run_all(self, planned: Sequence[Planned], deadline: float) -> None:
        waiting = list(planned)
        running: dict[Child, float] = {}
        try:
            while waiting or running:
                while waiting and len(running) < self.jobs:
                    one = waiting.pop(0)
                    run = self.folder / one.experiment.name
                    if time.monotonic() > deadline:
                        self._done.append(ExperimentRun(one, run, 0.0, _NO_TIME))
                        continue
                    with _undisturbed():
                        running[Child(self.command, one, run, deadline)] = time.monotonic()
                for child in [child for child in running if not child.is_running()]:
                    done = _outcome(child, time.monotonic() - running.pop(child))
                    child.clean()
                    self._done.append(done)
                    if done.failure and done.run.name == BASELINE:
                        raise NntraceError(_unusable(done))
                self.watch(tuple(running))
                time.sleep(_POLL_SECONDS)
        finally:
            for child in running:
                child.end()
                child.clean()

    def _second_try(self, seconds: float) -> Planned | None:
        """An experiment on one batch at a better rate, if the script's own did not fit the batch.

        None where it did, or where the sweep shows no better rate.
        """
        done = {one.planned.experiment.name: one for one in self._done if not one.failure}
        if "overfit" not in done or "sweep" not in done:
            return None
        run, rates = (Trace.open(done[name].run) for name in ("overfit", "sweep"))
        found, curve = fit(run), sweep(rates)
        if problem(run) or found is None or found.reached or curve is None or not curve.own:
            return None
        if curve.low is None or curve.high is None:
            return None
        middle = float((curve.low * curve.high) ** 0.5)
        factor = middle / curve.own
        if 1 / _SAME_RATE < factor < _SAME_RATE:
            return None
        return at_another_rate(factor, self.steps, seconds)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Hold back SIGINT and SIGTERM, which would leave behind a child that is being started."""
    came: list[int] = []
    kept = {}
    if threading.current_thread() is threading.main_thread():
        numbers = (signal.SIGINT, signal.SIGTERM)
        kept = {number: signal.getsignal(number) for number in numbers}
        for number in kept:
            signal.signal(number, lambda given, frame: came.append(given))
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
        if came:
            signal.raise_signal(came[0])


def _outcome(child: Child, seconds: float) -> ExperimentRun:
    failure = ""
    trace = _trace(child.run)
    if trace is None or not len(trace.steps):
        ended = "" if trace is None else told(trace).get("ended", "")
        reason = ended or child.last_words() or "it printed nothing"
        failure = f"it made no optimizer step: {reason}"
        if child.was_late:
            failure = "it made no optimizer step before the time limit"
    elif child.exit_code and not child.was_late:
        failure = f"it failed at step {len(trace.steps)}: {child.last_words()}"
    return ExperimentRun(child.planned, child.run, seconds, failure, child.escapes(), child.shared)


def _trace(run: Path) -> Trace | None:
    try:
        return Trace.open(run)
    except NntraceError:
        return None


def _unusable(done: ExperimentRun) -> str:
    log = done.run.with_name(f"{done.run.name}.log")
    return (
        f"the script did not train in the sandbox: {done.failure}. Its output is in {log}; "
        "`nntrace run` runs it without a sandbox."
    )


def cores_each(jobs: int) -> int:
    """The processor cores for each of `jobs` processes; 0 if the user has set OMP_NUM_THREADS."""
    if "OMP_NUM_THREADS" in os.environ:
        return 0
    return max(1, (os.cpu_count() or 1) // jobs)
