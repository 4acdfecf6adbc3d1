"""Compares the ranks' records: the steps and sites that they share, and how far values differ.

Ranks are matched by step number, role, path and shape, never by site id. No result depends on
the order of the ranks.
"""

from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
import numpy.typing as npt

from nntrace.rules.common.loaders import loader_passes
from nntrace.rules.common.optimizers import is_of_no_model
from nntrace.rules.common.payloads import count, items, text, whole
from nntrace.schema import EventKind, Role
from nntrace.trace import Site, Trace
from nntrace.trace.model import BoolArray, FloatArray, IntArray

ONE_RANK = "the run has one rank"
# Statistics of a fixed set of elements: together a checksum that also measures a distance.
_COMPARED = ("mean", "rms", "min", "max", "q25", "q50", "q75")
_MOST_STEPS = 256


@dataclass(frozen=True, slots=True)
class Spread:
    """How the program spreads its model over the ranks, as its process group was recorded.

    Attributes:
        wrapper: `DistributedDataParallel`, …, or None.
        sharded: whether each rank holds only a part of the parameters.
        group_size: number of ranks that train one model on different examples; None if unknown.
        world_size: number of ranks in all.
        own_averaging: whether parameters may differ and are averaged now and then.
    """

    wrapper: str | None = None
    sharded: bool = False
    group_size: int | None = None
    world_size: int = 0
    own_averaging: bool = False

    @property
    def replicates(self) -> bool:
        """Whether every rank is known to train the same model on examples of its own."""
        return self.group_size is not None and self.group_size == self.world_size > 1


def spread_of(ranks: tuple[Trace, ...]) -> Spread | None:
    """The spread that the first rank with a record of it reports; None without a process group."""
    events = (event for trace in ranks for event in trace.events_of(EventKind.DISTRIBUTED))
    payload: dict[str, Any] | None = next((event.payload for event in events), None)
    if payload is None:
        return None
    return Spread(
        text(payload, "wrapper") or None,
        payload.get("sharded") is True,
        whole(payload, "group_size"),
        count(payload, "world_size"),
        any("localsgd" in str(hook).lower() for hook in items(payload, "hooks")),
    )


def shares_data(ranks: tuple[Trace, ...]) -> bool:
    """Whether every rank draws its part of the data set by a `DistributedSampler`."""
    return all(
        any(e.payload.get("sampler") == "DistributedSampler" for e in t.events_of(EventKind.LOADER))
        for t in ranks
    )


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far apart the ranks' values of one role are.

    Attributes:
        steps: [s] the steps that all ranks sampled, at most 256 of them.
        sites: [n] those that all ranks have in the same shape, as the lowest rank declared them.
        difference: [s, n] largest difference of a statistic between two ranks, relative to the
            largest rms; infinite if only some have a value, NaN if none has or all are zero.
        odd: [s, n] the rank farthest from the median, or −1 if there are two ranks.
    """

    steps: IntArray
    sites: tuple[Site, ...]
    difference: FloatArray
    odd: npt.NDArray[np.int64]

    def differs(self, tolerance: float) -> BoolArray:
        """[s, n]: where the ranks differ by more than the tolerance."""
        with np.errstate(invalid="ignore"):
            return np.asarray(self.difference > tolerance)


def shared_steps(ranks: tuple[Trace, ...]) -> IntArray:
    """The steps that every rank sampled and made together with the others.

    A rank that makes fewer steps in a pass over its data (DDP's `join` lets it) begins the next one
    sooner: from there on equal numbers are different steps. Of more than 256 an even choice with
    first and last.
    """
    steps = reduce(np.intersect1d, [trace.sampled_steps for trace in ranks])
    ends = zip(*map(_ends_of_passes, ranks), strict=False)
    together = next((min(of_ranks) for of_ranks in ends if len(set(of_ranks)) > 1), None)
    if together is not None:
        steps = steps[steps < together]
    if len(steps) > _MOST_STEPS:
        steps = steps[np.linspace(0, len(steps) - 1, _MOST_STEPS).astype(np.int64)]
    return np.asarray(steps, dtype=np.int64)


def _ends_of_passes(rank: Trace) -> list[int]:
    """The step at which each pass over a loader ended in which steps were made."""
    return [one.step for one in loader_passes(rank) if one.steps]


def replicated(rank: Trace, role: Role) -> list[Site]:
    """The sites of a role that every rank may have alike: those of the models, if there are any.

    What an optimizer holds beside them is each rank's own part of all (DeepSpeed's ZeRO).
    """
    sites = rank.sites_of(role)
    return [site for site in sites if not is_of_no_model(site)] or list(sites)


def compare(ranks: tuple[Trace, ...], role: Role) -> Agreement:
    """Compare the sites of one role between the ranks."""
    ranks = tuple(sorted(ranks, key=lambda trace: trace.rank))
    steps = shared_steps(ranks)
    known = [{(s.path, s.shape): i for i, s in enumerate(t.sites_of(role))} for t in ranks]
    own = replicated(ranks[0], role)
    sites = tuple(site for site in own if all((site.path, site.shape) in k for k in known))
    rows = [np.searchsorted(trace.sampled_steps, steps) for trace in ranks]
    columns = [[k[site.path, site.shape] for site in sites] for k in known]

    def values(stat: str) -> FloatArray:
        """A statistic, [ranks, steps, sites]."""
        return np.stack(
            [t.series(role, stat)[r][:, c] for t, r, c in zip(ranks, rows, columns, strict=True)]
        )

    difference = np.zeros((len(steps), len(sites)))
    odd = np.full(difference.shape, -1, dtype=np.int64)
    if not difference.size:
        return Agreement(steps, sites, difference, odd)
    with np.errstate(all="ignore"):
        scale = np.abs(values("rms")).max(axis=0)
        for stat in _COMPARED:
            each = values(stat)
            apart = (each.max(axis=0) - each.min(axis=0)) / scale
            has_value = np.isfinite(each)
            apart = np.where(has_value.all(axis=0), apart, np.inf)
            apart = np.where(has_value.any(axis=0), apart, np.nan)
            if len(ranks) > 2:
                away = np.abs(each - np.median(each, axis=0))
                farthest = np.argmax(np.where(np.isfinite(away), away, np.inf), axis=0)
                named = np.array([trace.rank for trace in ranks])[farthest]
                odd = np.where(apart > difference, named, odd)
            difference = np.fmax(difference, apart)
        has_any = (np.nan_to_num(values("rms")) > 0.0).any(axis=0)
        difference = np.where(has_any, difference, np.nan)
    return Agreement(steps, sites, difference, odd)


def described(ranks: list[int] | tuple[int, ...]) -> str:
    """A list of ranks as text: `rank 3`, `ranks 0 and 1`, `ranks 0, 1, 2 and 5 more`."""
    ordered = sorted(set(ranks))
    if len(ordered) == 1:
        return f"rank {ordered[0]}"
    if len(ordered) > 4:
        return f"ranks {', '.join(map(str, ordered[:3]))} and {len(ordered) - 3} more"
    return f"ranks {', '.join(map(str, ordered[:-1]))} and {ordered[-1]}"
