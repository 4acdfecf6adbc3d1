"""Small diagnoses and cards for the tests of the recipe."""

from typing import Any

from rules.builders import trace_of

from nntrace.diagnosis import Diagnosis
from nntrace.recipe import Card, Outcome, Stage, State, Step, read
from nntrace.rules import Finding, Severity, Skipped
from nntrace.trace import Trace


def step(number: str = "2.6", stage: Stage = Stage.SKELETON, **values: Any) -> Step:
    return Step(number, "Verify the loss", stage, "Compare it: nntrace report RUN", **values)


def finding(code: str = "LOS01", **values: Any) -> Finding:
    given = {"name": "loss-at-init", "severity": Severity.ERROR, "advice": "Scale the head down."}
    return Finding("the first loss is 9.", code=code, **{**given, **values})


def diagnosis(
    *findings: Finding, skipped: tuple[Skipped, ...] = (), judged: tuple[str, ...] = ()
) -> Diagnosis:
    return Diagnosis(findings, skipped, frozenset(judged))


def outcome_of(one: Step, found: Diagnosis | None = None, trace: Trace | None = None) -> Outcome:
    return read(trace or trace_of(steps=3), found or diagnosis(), [one]).outcomes[0]


def card_of(*states: State, **values: Any) -> Card:
    """One step per state, each in a stage of its own."""
    stages = list(Stage)
    return Card(
        tuple(
            Outcome(step(f"{at + 1}.1", stages[at], **values), state)
            for at, state in enumerate(states)
        )
    )
