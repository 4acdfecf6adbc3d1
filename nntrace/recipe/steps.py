"""The steps of the recipe, each declared once: text, page, JSON and documentation derive from it.

The order is that of Karpathy's text; steps from the list of 37 reasons stand where they are first
needed. A rule belongs to at most one step.
"""

from typing import Final

from nntrace.recipe.setup_steps import DATA, SKELETON
from nntrace.recipe.training_steps import OVERFIT, REGULARISE, SQUEEZE, TUNE

STEPS: Final = (*DATA, *SKELETON, *OVERFIT, *REGULARISE, *TUNE, *SQUEEZE)
