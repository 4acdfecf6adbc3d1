"""Compares a run with the recipe.

A step is never verified by a rule that found nothing because it could not judge, nor an advice by
rules that only find what goes against it.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from nntrace.diagnosis import Diagnosis
from nntrace.recipe.step import Fact, Stage, State, Step
from nntrace.recipe.steps import STEPS
from nntrace.rules import Finding, Skipped
from nntrace.trace import Trace


@dataclass(frozen=True, slots=True)
class Outcome:
    """A step, its state, the evidence in one sentence or "", and the findings on the step."""

    step: Step
    state: State
    evidence: str = ""
    findings: tuple[Finding, ...] = ()

    @property
    def cause(self) -> str | None:
        """The code of another step's rule that explains all findings here; else None.

        The failure of this step is then a likely symptom.
        """
        codes = {finding.explained_by for finding in self.findings} - set(self.step.rules)
        return max(filter(None, codes)) if codes and None not in codes else None


@dataclass(frozen=True, slots=True)
class Card:
    """The outcomes of all steps, in order."""

    outcomes: tuple[Outcome, ...]

    def of(self, stage: Stage) -> tuple[Outcome, ...]:
        """The outcomes of one stage."""
        return tuple(outcome for outcome in self.outcomes if outcome.step.stage is stage)

    def count(self, state: State) -> int:
        """The number of steps in a state."""
        return sum(outcome.state is state for outcome in self.outcomes)

    @property
    def next(self) -> Outcome | None:
        """The step to work on next: the first failure that is no symptom, else the first symptom.

        Without failures, the first unchecked step that a run could verify; None if there is none.
        """
        failed = [o for o in self.outcomes if o.state is State.FAILED]
        open_ones = [o for o in self.outcomes if o.state is State.UNCHECKED]
        wanted = (
            *(o for o in failed if o.cause is None),
            *failed,
            *(o for o in open_ones if o.step.rules or o.step.fact),
        )
        return next(iter(wanted), None)

    def is_due(self, stage: Stage) -> bool:
        """Whether no step of an earlier stage has failed, so that the stage's advice is timely."""
        return all(
            outcome.state is not State.FAILED
            for outcome in self.outcomes
            if outcome.step.stage.number < stage.number
        )


def read(trace: Trace, diagnosis: Diagnosis, steps: Iterable[Step] = STEPS) -> Card:
    """Evaluate every step on a run and return the recipe card."""
    return Card(tuple(_evaluate(step, trace, diagnosis) for step in steps))


def _evaluate(step: Step, trace: Trace, diagnosis: Diagnosis) -> Outcome:
    findings = tuple(finding for finding in diagnosis.findings if finding.code in step.rules)
    failing = tuple(f for f in findings if f.level.weight >= step.fails_from.weight)
    if failing:
        return Outcome(step, State.FAILED, failing[0].message, failing)
    fact = _fact(step, trace)
    if findings:
        return Outcome(step, State.UNCHECKED, findings[0].message, findings)
    if fact is not None and fact.state is not None:
        return Outcome(step, fact.state, fact.text)
    numbers = "" if fact is None else fact.text
    judged = [code for code in step.rules if code in diagnosis.judged]
    if judged and set(step.needs) <= diagnosis.judged:
        is_advice = step.otherwise is State.ADVICE and not step.needs
        state = State.ADVICE if is_advice else State.VERIFIED
        return Outcome(step, state, numbers or _silence(judged, trace))
    return Outcome(step, step.otherwise, _why(step, diagnosis.skipped) or numbers)


def _fact(step: Step, trace: Trace) -> Fact | None:
    if step.fact is None:
        return None
    try:
        with np.errstate(all="ignore"):
            return step.fact(trace)
    except Exception as error:  # a damaged trace must not stop the evaluation of other steps
        return Fact(f"could not be read: {type(error).__name__}: {error}", step.otherwise)


def _silence(codes: list[str], trace: Trace) -> str:
    steps, sampled = len(trace.steps), len(trace.sampled_steps)
    return f"{', '.join(codes)} found nothing in {steps} steps, {sampled} of them sampled"


def _why(step: Step, skipped: tuple[Skipped, ...]) -> str:
    """Why the rules that would verify the step could not judge; empty without such rules."""
    wanted = step.needs or step.rules
    for item in skipped:
        if item.code in wanted:
            return f"{item.code} could not judge: {item.reason}"
    return f"{', '.join(wanted)} did not run" if wanted else ""
