"""How a step of the recipe is declared, and the states that it can be in."""

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
        """The place of the stage in the recipe, from 1."""
        return list(Stage).index(self) + 1


class State(StrEnum):
    """What a run shows about a step. ADVICE is something to do that no run can verify."""

    VERIFIED = "verified"
    FAILED = "failed"
    UNCHECKED = "not checked yet"
    ADVICE = "advice"


@dataclass(frozen=True, slots=True)
class Fact:
    """What a trace shows about a step, in numbers.

    `state` is the state that these prove; None leaves the judgement to the step's rules.
    """

    text: str
    state: State | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the recipe.

    Attributes:
        number: stage and place, such as `2.4`.
        title: what holds once the step is done, or what is to be done.
        stage: the stage it belongs to.
        how: how to check it by hand, or the advice. `RUN` stands for the run's name.
        rules: the codes of rules whose findings fail the step; if one of them judged and none found
            anything, the step is verified, unless it is advice.
        needs: those of the rules that must have judged for the step to be verified; advice is
            verified by these alone.
        fact: returns the evidence in numbers from a trace, or None if the trace does not show it.
        fails_from: the least severity of a finding that fails the step; a lesser finding leaves it
            unchecked.
        otherwise: the state when nothing is known.
        sources: the texts that the step comes from.
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
