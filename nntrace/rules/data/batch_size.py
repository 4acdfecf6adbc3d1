"""Rules on the number of examples in a batch."""

from collections.abc import Iterator, Sequence
from typing import Annotated

import numpy as np

from nntrace.rules.common.chance import batch_span, training_batches
from nntrace.rules.common.loaders import data_set_sizes, trained_loaders
from nntrace.rules.common.signals import median
from nntrace.rules.finding import Finding, Severity, Skipped, too_few
from nntrace.rules.rule import rule
from nntrace.schema import EventKind, Role
from nntrace.trace import Batch, Trace
from nntrace.trace.model import FloatArray

_OF_SAMPLING = 0.1  # of the targets' spread: how much samples of the same elements differ
_LEVELS = ("mean", "std", "min", "max")
_SETTLED = 5  # samples of an output


@rule(
    "DAT16",
    "tiny-batch-with-batchnorm",
    Severity.WARNING,
    needs=(Role.ACTIVATION,),
    explains=("ACT12", "RUN13", "LOS09", "LOS13", "GRD05", "GRD08"),
    advice="Take larger batches (accumulating gradients does not help: statistics are per batch), "
    "or a normalisation that does not depend on the batch: GroupNorm, LayerNorm.",
)
def tiny_batch_with_batchnorm(
    trace: Trace,
    *,
    examples: Annotated[int, "examples in a typical batch of vectors"] = 8,
    images: Annotated[int, "examples in a typical batch of images or sequences"] = 4,
) -> Iterator[Finding | Skipped]:
    """A batch norm in training computes its statistics from very few examples.

    The statistics are then mostly noise, and the running ones used in evaluation differ from them.
    An image brings many positions, so half as many examples are enough. A smaller last batch and
    frozen norms are not reported, nor norms that are given more rows than the model is given
    examples, such as the images of a list that the model stacks. Not judged if all steps have the
    same input, target or, in the last quarter, output, as where a single picture is fitted to
    noise (deep image prior).
    Source: Wu & He 2018 (1803.08494), Group Normalization, figure 1; Ioffe 2017 (1702.03275).
    """
    norms = [s for s in trace.sites_of(Role.ACTIVATION) if "BatchNorm" in s.module_type]
    batches = training_batches(trace)
    sizes = [b.batch_size for b in batches if b.batch_size]
    if not norms:
        return
    if len(sizes) < 3:
        yield too_few("needs the size of three batches")
        return
    modes = [event.payload.get("norm_active") for event in trace.events_of(EventKind.MODE)]
    if modes and not any(modes):
        return
    if _is_one_example(batches) or _gives_one_output(trace):
        yield Skipped("every step is given the same data: their statistics are those of all data")
        return
    typical = median(sizes)
    over = {s: max(typical, s.shape[0] if s.shape else 0) for s in norms}
    small = [s for s in norms if over[s] < (examples if len(s.shape) == 2 else images)]
    if not small:
        return
    size = over[small[0]]
    kind = "vectors" if len(small[0].shape) == 2 else "images or sequences"
    others = f" (and {len(small) - 1} more)" if len(small) > 1 else ""
    yield Finding(
        f"`{small[0].path}`{others} normalises {kind} over batches of {size:.0f}.",
        site=small[0],
        steps=batch_span(trace),
        evidence={"batch_size": size, "batch_norms": len(small)},
    )


def _is_one_example(batches: Sequence[Batch]) -> bool:
    """Whether all sampled steps have the same input, or the same target but for its sampling."""
    if len({batch.fingerprint for batch in batches} - {None}) == 1:
        return True
    known = [
        (batch.target_mean, batch.target_std, batch.target_min, batch.target_max)
        for batch in batches
        if None not in (batch.target_mean, batch.target_std, batch.target_min, batch.target_max)
    ]
    table = np.array(known, dtype=np.float64).reshape(-1, 4)
    return len(table) == len(batches) and _is_steady(table, _OF_SAMPLING)


def _gives_one_output(trace: Trace) -> bool:
    """Whether the output, a single image, has settled on one, whatever the input of a step."""
    site = trace.sites_of(Role.ACTIVATION)[-1]
    if len(site.shape) < 3 or site.shape[0] > 1:
        return False
    table = np.stack([trace.series(site.role, stat, site) for stat in _LEVELS], axis=1)
    known = table[np.isfinite(table).all(axis=1)]
    late = known[-len(known) // 4 :]
    return len(late) >= _SETTLED and _is_steady(late, 2.0 * _OF_SAMPLING)


def _is_steady(levels: FloatArray, share: float) -> bool:
    """Whether mean, deviation and extremes [steps, 4] vary by less than that of the deviation."""
    return bool((np.ptp(levels, axis=0) < share * levels[:, 1].min()).all())


@rule(
    "DAT17",
    "huge-batch",
    Severity.INFO,
    advice="Smaller batches take more and noisier steps per epoch, and often generalise better; "
    "if the batch stays, scale the learning rate with it.",
)
def huge_batch(
    trace: Trace,
    *,
    share: Annotated[float, "share of the data set in one batch"] = 0.1,
    examples: Annotated[int, "examples in one batch"] = 8192,
    data: Annotated[int, "examples of a data set below which that share is not judged"] = 1000,
) -> Iterator[Finding | Skipped]:
    """A batch holds a large part of the data set, or very many examples.

    An epoch is then a handful of steps, with little noise to escape sharp minima. Information,
    never a warning.
    Source: "37 reasons", 11 (reduce the batch size); Keskar et al. 2017 (1609.04836).
    """
    sizes = [b.batch_size for b in training_batches(trace) if b.batch_size]
    if not sizes:
        yield Skipped("the size of the batches is not known")
        return
    size = median(sizes)
    training = trained_loaders(trace)
    sizes_of = data_set_sizes(trace).items()
    held = [n for loader, n in sizes_of if loader in training and n >= data]
    whole = max(held, default=0)
    is_share = bool(held) and size > share * whole
    if size <= examples and not is_share:
        return
    of = f", {size / whole:.0%} of the data set" if is_share else ""
    yield Finding(
        f"a batch holds {size:.0f} examples{of}.",
        steps=batch_span(trace),
        evidence={"batch_size": size, "dataset_size": whole},
    )
