"""The recipe card: Karpathy's "A Recipe for Training Neural Networks" as a checklist of a run.

The steps are declared in one table (`steps.STEPS`); `read` evaluates them as a pure function of a
trace and its diagnosis.
"""

from nntrace.recipe.card import Card, Outcome, read
from nntrace.recipe.step import Fact, Stage, State, Step
from nntrace.recipe.steps import STEPS

__all__ = ["STEPS", "Card", "Fact", "Outcome", "Stage", "State", "Step", "read"]
