"""Rules on several ranks: whether they train one model together.

Each rule sees all ranks of the run and is skipped if there is only one. Which values must agree
depends on how the program spreads its model; if that is unknown, nothing is blamed.
"""

from collections import Counter
from collections.abc import Iterator
from itertools import compress
from typing import Annotated

import numpy as np

from nntrace.rules.common.chance import training_batches
from nntrace.rules.common.loaders import drawn_at
from nntrace.rules.common.signals import span
from nntrace.rules.finding import Finding, Severity, Skipped, too_few
from nntrace.rules.ranks.replicas import (
    ONE_RANK,
    Agreement,
    compare,
    described,
    replicated,
    shares_data,
    spread_of,
)
from nntrace.rules.rule import rule
from nntrace.schema import Role
from nntrace.trace import Trace
from nntrace.trace.model import BoolArray

_MOST_NAMED = 20


@rule(
    "DST01",
    "parameters-diverge",
    Severity.ERROR,
    explains=("LOS13",),
    advice="Start all ranks from the same parameters (`DistributedDataParallel` does, or "
    "`broadcast` by hand), and let every rank make the same optimizer steps.",
)
def parameters_diverge(
    trace: Trace,
    *,
    tolerance: Annotated[float, "largest difference relative to the rms of the parameter"] = 1e-3,
    samples: Annotated[int, "steps sampled on all ranks in which they must differ"] = 2,
) -> Iterator[Finding | Skipped]:
    """Ranks that should hold the same parameters hold different ones.

    Each rank then trains a model of its own, and the checkpoint is that of one rank. Seven
    statistics of the same fixed elements are compared between the ranks, which act as a checksum
    that forgives rounding on unlike hardware. Not judged for sharded models and for ranks that
    average only now and then.
    Source: PyTorch notes on DistributedDataParallel (replicas begin and stay identical).
    """
    ranks = trace.every_rank()
    if reason := _not_replicas(ranks):
        yield Skipped(reason)
        return
    parameters = compare(ranks, Role.PARAM)
    differs = parameters.differs(tolerance)
    if len(differs) < samples:
        yield too_few(f"needs {samples} steps sampled on all ranks, has {len(differs)}")
        return
    if _meet_again(differs):
        return
    apart = differs[-1] & (differs.sum(axis=0) >= samples)
    if not apart.any():
        return
    first = int(np.flatnonzero(differs[:, apart].any(axis=1))[0])
    count, total = int(apart.sum()), len(parameters.sites)
    which = int(np.flatnonzero(apart)[np.argmax(parameters.difference[-1, apart])])
    since = "from the first step on" if first == 0 else f"from step {parameters.steps[first]} on"
    yield Finding(
        f"{_odd_ranks(parameters, apart, ranks)} in {count} of {total} parameters {since}, by "
        f"{_share(parameters.difference[-1, which])} of the rms of "
        f"`{parameters.sites[which].path}`.",
        site=parameters.sites[which],
        steps=(int(parameters.steps[first]), int(parameters.steps[-1])),
        evidence={
            "parameters": count,
            "of": total,
            "largest_difference": _number(parameters.difference[-1, which]),
            "equal_at_start": first > 0,
            "sites": [site.path for site in compress(parameters.sites, apart)][:_MOST_NAMED],
        },
    )


@rule(
    "DST02",
    "same-data-on-ranks",
    Severity.ERROR,
    explains=("LOS13",),
    advice="Give every rank its own part of the data: `DistributedSampler(dataset)` as the "
    "loader's sampler, with `set_epoch`, or a shard of the stream chosen by rank.",
)
def same_data_on_ranks(
    trace: Trace,
    *,
    share: Annotated[float, "share of the steps sampled on all ranks with equal batches"] = 0.9,
    samples: Annotated[int, "steps sampled on all ranks that are needed"] = 5,
) -> Iterator[Finding | Skipped]:
    """Several ranks train on the very same batches.

    Their gradients are equal, and averaging them is the work of one rank done several times. The
    batches' fingerprints are compared at steps that were sampled on all ranks. Not judged if ranks
    work on one batch together, as in tensor and pipeline parallel training.
    Source: PyTorch notes on DistributedDataParallel and `DistributedSampler`.
    """
    ranks = trace.every_rank()
    if reason := _not_data_parallel(ranks):
        yield Skipped(reason)
        return
    prints = [
        {b.step: b.fingerprint for b in training_batches(t) if b.fingerprint is not None}
        for t in ranks
    ]
    steps = sorted(set.intersection(*(set(known) for known in prints)))
    if len(steps) < samples:
        yield too_few(f"needs the batches of {samples} steps on all ranks, has {len(steps)}")
        return
    if all(len({known[step] for step in steps}) == 1 for known in prints):
        yield Skipped("every rank uses one single batch")
        return
    equal = [_most_alike([known[step] for known in prints]) for step in steps]
    groups = Counter(group for group in equal if len(group) > 1)
    if not groups or sum(groups.values()) < share * len(steps):
        return
    group, _ = max(groups.items(), key=lambda item: (item[1], item[0]))
    names = [ranks[place].rank for place in group]
    count = sum(set(group) <= set(found) for found in equal)
    if count < share * len(steps):
        return
    yield Finding(
        f"{described(names)} trained on the same batches in {count} of {len(steps)} steps "
        "that were sampled on all ranks.",
        site=next(iter(trace.sites_of(Role.INPUT)), None),
        steps=(steps[0], steps[-1]),
        evidence={"ranks": names, "equal_batches": count, "compared_steps": len(steps)},
        location=drawn_at(trace),
    )


@rule(
    "DST03",
    "gradients-not-synchronised",
    Severity.ERROR,
    explains=("DST01", "LOS13"),
    advice="Call the wrapper, not the model inside (`ddp(x)`, not `ddp.module(x)`), build the "
    "optimizer and all trained layers inside what is wrapped, and leave `no_sync` for the last "
    "backward of each step.",
)
def gradients_not_synchronised(
    trace: Trace,
    *,
    tolerance: Annotated[float, "largest difference relative to the gradient's rms"] = 1e-2,
    samples: Annotated[int, "steps sampled on all ranks that are needed"] = 3,
) -> Iterator[Finding | Skipped]:
    """The optimizers of the ranks get different gradients, and their parameters drift apart.

    Nothing averages the gradients of these parameters over the ranks. Reported only if the
    parameters differ in the end, too, because some libraries average within the optimizer's step.
    Source: PyTorch notes on DistributedDataParallel (gradients are averaged in backward).
    """
    ranks = trace.every_rank()
    if reason := _not_replicas(ranks):
        yield Skipped(reason)
        return
    gradients = compare(ranks, Role.PARAM_GRAD)
    if len(gradients.steps) < samples:
        yield too_few(f"needs {samples} steps sampled on all ranks, has {len(gradients.steps)}")
        return
    parameters = compare(ranks, Role.PARAM)
    if _meet_again(parameters.differs(1e-6)):
        return
    drifted = {site.path for site in compress(parameters.sites, parameters.differs(1e-6)[-1])}
    differs = gradients.differs(tolerance)
    known = ~np.isnan(gradients.difference)
    never = differs.any(axis=0) & (differs | ~known).all(axis=0)
    never &= np.array([site.path in drifted for site in gradients.sites], dtype=bool)
    if not never.any():
        return
    count, total = int(never.sum()), len(gradients.sites)
    named = list(compress(gradients.sites, never))
    spread = spread_of(ranks)
    wrapper = spread.wrapper if spread is not None else None
    unwrapped = "" if wrapper else " No DistributedDataParallel or FSDP was seen."
    what = "all" if count == total else f"{count} of {total}"
    example = "" if count == total else f", such as `{named[0].path}`"
    yield Finding(
        f"the gradients of {what} parameters{example} differed between "
        f"{described([t.rank for t in ranks])} in every step that was sampled on all "
        f"ranks.{unwrapped}",
        site=named[0],
        steps=span(gradients.steps),
        evidence={
            "parameters": count,
            "of": total,
            "wrapper": wrapper,
            "median_difference": _number(float(np.median(gradients.difference[:, never]))),
            "compared_steps": len(gradients.steps),
            "sites": [site.path for site in named[:_MOST_NAMED]],
        },
    )


def _not_data_parallel(ranks: tuple[Trace, ...]) -> str:
    """Why the ranks need not train one model on different examples; empty if they should."""
    if len(ranks) < 2:
        return ONE_RANK
    spread = spread_of(ranks)
    if spread is None:
        return "no process group was formed: the ranks may be independent"
    if spread.group_size is not None and not spread.replicates:
        return f"the ranks work in groups of {spread.group_size}"
    if spread.replicates or spread.wrapper == "FullyShardedDataParallel":
        return ""
    if spread.sharded:
        return "the model is sharded in a way that may share batches between ranks"
    return _unlike(ranks)


def _not_replicas(ranks: tuple[Trace, ...]) -> str:
    """Why the ranks need not hold the same parameters; empty if they should."""
    reason = _not_data_parallel(ranks)
    spread = spread_of(ranks)
    if reason or spread is None:
        return reason
    if spread.sharded:
        return "each rank holds a part of the parameters"
    if spread.own_averaging:
        return "the ranks average their parameters only now and then (local SGD)"
    return ""


def _unlike(ranks: tuple[Trace, ...]) -> str:
    """Why, without a known wrapper, the ranks may hold different models by design; else empty."""
    parameters = compare(ranks, Role.PARAM)
    if not len(parameters.steps):
        return "no step was sampled on all ranks"
    if len(parameters.sites) < max(len(replicated(trace, Role.PARAM)) for trace in ranks):
        return "the ranks hold different parameters"
    if not parameters.differs(1e-6)[0].any() or shares_data(ranks):
        return ""
    gradients = compare(ranks, Role.PARAM_GRAD).differs(1e-2)
    if gradients.size and gradients.mean() < 0.1:  # averaged by hand
        return ""
    return "the ranks began with different parameters, and no wrapper says that they should agree"


def _meet_again(differs: BoolArray) -> bool:
    """Whether parameters that differed were all equal again at a later step, as when averaged."""
    apart = np.flatnonzero(differs.any(axis=1))
    return len(apart) > 0 and len(apart) < len(differs) - int(apart[0])


def _most_alike(prints: list[int | None]) -> tuple[int, ...]:
    """The places of the largest group of equal fingerprints."""
    groups: dict[int | None, list[int]] = {}
    for place, value in enumerate(prints):
        groups.setdefault(value, []).append(place)
    largest = max(groups.values(), key=lambda group: (len(group), -group[0]))
    return tuple(largest)


def _odd_ranks(parameters: Agreement, apart: BoolArray, ranks: tuple[Trace, ...]) -> str:
    """Say which rank differs from the others, if that is clear, or that the ranks differ."""
    odd = Counter(parameters.odd[-1, apart].tolist())
    rank, count = max(odd.items(), key=lambda item: (item[1], -item[0]))
    if rank >= 0 and count >= 0.9 * odd.total():
        return f"rank {rank} differs from the others"
    return f"{described([trace.rank for trace in ranks])} differ"


def _share(value: float) -> str:
    return f"{value:.2g} times" if value >= 1.0 else f"{value:.2%}"


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
