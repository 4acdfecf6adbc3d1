"""The declaration form of a step of the recipe, and the words for what became of it."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from nntrace.rules import Severity
from nntrace.trace import Trace

KARPATHY: Final = "Karpathy, A Recipe for Training Neural Networks"
REASONS: Final = "37 Reasons why your Neural Network is not working"


class Stage(StrEnum):
    """The six stages of the recipe, in order."""

    DATA = "Become one with the data"
    SKELETON = "Set up the skeleton and dumb baselines"
    OVERFIT = "Overfit"
    REGULARISE = "Regularise"
    TUNE = "Tune"
    SQUEEZE = "Squeeze out the juice"

    @property
    def number(self) -> int:
        """Its place in the recipe, from 1."""
        return list(Stage).index(self) + 1


class State(StrEnum):
    """What a run says of a step. ADVICE: no run can verify it; it is something to do."""

    VERIFIED = "verified"
    FAILED = "failed"
    UNCHECKED = "not checked yet"
    ADVICE = "advice"


@dataclass(frozen=True, slots=True)
class Fact:
    """What a trace shows of a step, in numbers.

    `state` is what it proves; None leaves the judgement to the step's rules.
    """

    text: str
    state: State | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the recipe.

    Attributes:
        number: stage and place, such as `2.4`.
        title: what holds once the step is done, or what is to be done.
        how: how to check it by hand, or the advice. `RUN` stands for the run's name.
        rules: codes whose findings fail the step; where they judged and found nothing, it holds.
        needs: those of the rules without whose judgement the step is not verified.
        fact: the evidence in numbers.
        fails_from: the severity from which a finding fails the step; a lesser one leaves it open.
        otherwise: the state when nothing is known.
        sources: where the step comes from.
    """

    number: str
    title: str
    stage: Stage
    how: str
    rules: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    fact: Callable[[Trace], Fact | None] | None = None
    fails_from: Severity = Severity.WARNING
    otherwise: State = State.UNCHECKED
    sources: tuple[str, ...] = (KARPATHY,)
