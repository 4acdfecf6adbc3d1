"""Batches whose examples are copies of one: what varies is lost on the way to the model."""

from collections.abc import Iterator

import numpy as np

from nntrace.rules.common.chance import training_batches
from nntrace.rules.common.signals import span
from nntrace.rules.finding import Finding
from nntrace.schema import Role
from nntrace.trace import Batch, Site, Trace

_HASHED_EXAMPLES = 4096  # of a batch at most that adapters hash
_SEVERAL = 8  # the fewest examples of a batch, and the fewest batches
_OF_WORDS = (
    "Look at one batch as the model receives it. If these are words, look at the vocabulary: if "
    "it was built from other texts, with other capitals or too few entries, every word is "
    "unknown to it."
)


def copies_of_one(trace: Trace, sites: list[Site], total: int) -> Iterator[Finding]:
    """Yield the finding if most of the sampled batches hold nothing else, in all inputs.

    Args:
        trace: of the run.
        sites: of the inputs.
        total: the number of sampled batches whose inputs are known.
    """
    copied = [
        batch.step
        for batch in training_batches(trace)
        if (batch.batch_size or 0) >= _SEVERAL and all_are_copies(batch)
    ]
    spread = np.array([trace.series(Role.INPUT, "example_std", site) for site in sites])
    alike = np.isin(trace.sampled_steps, copied) & (np.nan_to_num(spread) == 0.0).all(axis=0)
    count = int(alike.sum())
    if 2 * count < total or count < _SEVERAL:
        return
    is_of_numbers = sites[0].dtype.startswith(("int", "uint"))
    yield Finding(
        f"all examples of a batch are the same to the model: in {count} of {total} sampled "
        f"batches the input `{sites[0].path}` held copies of one example.",
        site=sites[0],
        steps=span(trace.sampled_steps[alike]),
        evidence={"batches_of_copies": count, "sampled_batches": total},
        advice=_OF_WORDS if is_of_numbers else "",
    )


def all_are_copies(batch: Batch) -> bool:
    """Whether all examples of a batch whose hashes are known are one and the same."""
    known = min(batch.batch_size or 0, _HASHED_EXAMPLES)
    return batch.duplicate_examples is not None and batch.duplicate_examples >= known - 1
