"""What a probe says, in the form in which the run keeps it; and when two outputs differ."""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Answer = dict[str, Any]
_TOLERANCE = 1e-4  # of the largest output: what another summation order may do


def answer(state: str, text: str, **evidence: Any) -> Answer:
    """An answer: `clean`, `found`, `noted` or `unknown`, a sentence, and numbers."""
    return {"state": state, "text": text, "evidence": evidence}


def changed(before: Array, after: Array) -> Array:
    """Which elements differ by more than another summation order explains."""
    scale = max(float(np.abs(before).max(initial=0.0)), 1e-30)
    return np.asarray(np.abs(before - after) > _TOLERANCE * scale)
