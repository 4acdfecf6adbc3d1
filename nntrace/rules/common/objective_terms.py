"""The terms that the program adds up to its loss, with their values at sampled steps."""

from typing import Final

import numpy as np

from nntrace.rules.common.chance import training_batches
from nntrace.trace import Batch, Trace
from nntrace.trace.model import FloatArray

FIRST: Final = 5  # samples that count as the start of the run


def summed_terms(trace: Trace) -> tuple[tuple[str, ...], FloatArray, list[int]]:
    """Names, values [samples, terms] and steps of the terms of the most frequent objective."""
    whole = [b for b in training_batches(trace) if _has_terms(b)]
    if not whole:
        return (), np.empty((0, 0)), []
    kinds = [batch.term_names for batch in whole]
    names = max(sorted(set(kinds)), key=kinds.count)
    chosen = [batch for batch in whole if batch.term_names == names]
    values = np.array([batch.term_values for batch in chosen], dtype=np.float64)
    return names, values, [batch.step for batch in chosen]


def _has_terms(batch: Batch) -> bool:
    values = batch.term_values
    return (
        len(values) > 1
        and len(values) == len(batch.term_names) == len(set(batch.term_names))
        and bool(np.isfinite(values).all())
    )
