"""The form in which a probe's answer is recorded, and when two outputs count as different."""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Answer = dict[str, Any]
_TOLERANCE = 1e-4  # of the largest output: what another order of summation may change


def answer(state: str, text: str, **evidence: Any) -> Answer:
    """An answer: `clean`, `found`, `noted` or `unknown`, a sentence, and numbers."""
    return {"state": state, "text": text, "evidence": evidence}


def changed(before: Array, after: Array) -> Array:
    """Mark the elements that differ by more than another order of summation explains."""
    scale = max(float(np.abs(before).max(initial=0.0)), 1e-30)
    return np.asarray(np.abs(before - after) > _TOLERANCE * scale)
