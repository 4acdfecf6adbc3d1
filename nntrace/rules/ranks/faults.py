"""Rules that name the rank that holds the others up, breaks first, or is gone."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from typing import Annotated

import numpy as np

from nntrace.rules.common.loss_course import loss_series
from nntrace.rules.common.payloads import count, text
from nntrace.rules.common.signals import median
from nntrace.rules.finding import Finding, Severity, Skipped, too_few
from nntrace.rules.ranks.replicas import ONE_RANK, described, spread_of
from nntrace.rules.rule import rule
from nntrace.schema import EventKind, Role, RunStatus
from nntrace.trace import Trace
from nntrace.trace.model import FloatArray, IntArray

_WARM_UP = 5  # steps: the first ones allocate, compile and start workers
# How torchrun and torch.multiprocessing name the process that failed first.
_FIRST_FAILURE = re.compile(r"Root Cause.*?rank\s*:\s*(\d+)|-- Process (\d+) terminated with")
_WORDS = {
    Role.INPUT: "input",
    Role.TARGET: "target of",
    Role.OUTPUT: "prediction given to",
    Role.ACTIVATION_GRAD: "gradient at the output of",
    Role.PARAM_GRAD: "gradient of",
    Role.UPDATE: "update of",
    Role.PARAM: "parameter",
}
_LOCAL = (Role.INPUT, Role.TARGET, Role.OUTPUT, Role.ACTIVATION_GRAD)
_COMMUNICATION = re.compile(
    "gloo|nccl|peer|connection|socket|timed? ?out|Dist(Backend|Network|Store)Error|collective",
    re.IGNORECASE,
)


@rule(
    "DST04",
    "straggler",
    Severity.WARNING,
    advice="See what that rank does more: a larger share of the data, slower storage, logging or "
    "evaluation on this rank only, a throttled or shared device.",
)
def straggler(
    trace: Trace,
    *,
    share: Annotated[float, "time for which the others wait, relative to the step time"] = 0.2,
    steps: Annotated[int, "steps of all ranks that are needed"] = 20,
    least_ms: Annotated[float, "waiting time per step that matters, in milliseconds"] = 1.0,
) -> Iterator[Finding | Skipped]:
    """One rank is slower than the others step after step, and they wait for it.

    Ranks that average gradients all take as long as the slowest. What tells them apart is the time
    to the first backward call, before any rank waits for another; for ranks that do not wait, the
    step time. Judged by medians, over unsampled steps if there are enough. On an accelerator the
    call only launches the work, so a slow device shows only in the step time.
    Source: PyTorch notes on DistributedDataParallel (uneven workloads between ranks).
    """
    ranks = trace.every_rank()
    if len(ranks) < 2:
        yield Skipped(ONE_RANK)
        return
    numbers = _common_steps(ranks, steps)
    if len(numbers) < steps:
        yield too_few(f"needs {steps} steps of all ranks after the first, has {len(numbers)}")
        return
    rows = [np.searchsorted(t.steps.step, numbers) for t in ranks]
    duration = np.stack([t.steps.duration_ns[r] for t, r in zip(ranks, rows, strict=True)])
    local = np.stack([t.steps.before_backward_ns[r] for t, r in zip(ranks, rows, strict=True)])
    wait = np.stack([t.steps.data_wait_ns[r] for t, r in zip(ranks, rows, strict=True)])
    typical = median(duration)
    late = [_behind(duration.astype(np.float64)), _behind(local)]
    worst = max(late, key=lambda found: found[1])
    place, behind = worst
    if not (behind > share * typical and behind > least_ms * 1e6):
        return
    slow = ranks[place]
    data = _behind(np.nan_to_num(wait))
    because = ", mostly for data" if data[0] == place and data[1] > behind / 2 else ""
    yield Finding(
        f"rank {slow.rank} is {behind / 1e6:.3g} ms behind the other ranks in a typical step of "
        f"{typical / 1e6:.3g} ms{because}: they wait for it {behind / typical:.0%} of the time.",
        steps=(int(numbers[0]), int(numbers[-1])),
        evidence={
            "rank": slow.rank,
            "behind_ms": behind / 1e6,
            "step_ms": typical / 1e6,
            "data_wait_ms": median(np.nan_to_num(wait[place])) / 1e6,
            "steps": len(numbers),
        },
    )


@rule(
    "DST05",
    "first-bad-rank",
    Severity.ERROR,
    explains=(
        *("NUM01", "NUM02", "NUM03", "NUM04", "NUM08", "NUM09", "LOS07", "LOS08", "LOS12"),
        *("ACT07", "GRD04", "PAR02", "UPD06", "DST01"),
    ),
    advice="Look at what only that rank had in that step: first its batch (a bad file, an empty "
    "batch, a label out of range), then its device.",
)
def first_bad_rank(trace: Trace) -> Iterator[Finding | Skipped]:
    """A NaN or an infinity was on one rank before it was on the others.

    Averaging the gradients spreads it to every rank within the same step, so that each of them
    looks broken; the batch or the device of the first one is where to look. Silent if all ranks
    broke alike.
    Source: "37 reasons", 36 and 37, for several ranks.
    """
    ranks = trace.every_rank()
    if len(ranks) < 2:
        yield Skipped(ONE_RANK)
        return
    broken = {t.rank: found for t in ranks if (found := _first_nonfinite(t)) is not None}
    if not broken:
        return
    step, stage = min((found.step, found.stage) for found in broken.values())
    first = {
        rank: found for rank, found in broken.items() if (found.step, found.stage) == (step, stage)
    }
    if len(first) == len(ranks):
        return
    found = first[min(first)]
    others = [t.rank for t in ranks if t.rank not in first]
    later = [broken[other].step for other in others if other in broken]
    after = (
        f"{described(others)} only {'later in that step' if min(later) == step else 'afterwards'}"
        if later
        else f"{described(others)} never"
    )
    yield Finding(
        f"step {step}: {found.what} of {described(list(first))} is not finite; {after}.",
        steps=(step, int(trace.steps.step[-1])),
        evidence={
            "ranks": sorted(first),
            "first_step": step,
            "first_step_of_others": min(later, default=None),
        },
    )


@rule(
    "DST06",
    "rank-lost",
    Severity.ERROR,
    advice="Read that rank's own output. If it was killed without a message, look for the "
    "out-of-memory killer (`dmesg`), the scheduler's limits and a lost node.",
)
def rank_lost(trace: Trace) -> Iterator[Finding | Skipped]:
    """A rank ended before the others, or never trained.

    The others then hang in their next exchange of gradients, or fail with a connection error that
    does not reveal the cause. The finding names the rank that was first, and how it ended. Not
    judged for a run whose ranks were all stopped together.
    Source: PyTorch notes on torchrun (the failure of one rank ends them all).
    """
    ranks = trace.every_rank()
    events = [event for t in ranks for event in t.events_of(EventKind.RANK_START)]
    started = [event.payload for event in events]
    world = max([1, *(count(payload, "world_size") for payload in started)])
    if len(ranks) < 2 and world < 2:
        yield Skipped(ONE_RANK)
        return
    ends = [_End.of(t) for t in ranks]
    gone = _lost(ends, _named_by_launcher(trace, ends))
    ended = trace.status is not RunStatus.RUNNING
    if gone:
        others = [end for end in ends if end not in gone]
        yield Finding(
            f"{'; '.join(end.said for end in gone[:3])}. {_fate(others)}",
            steps=(min(end.steps for end in gone), max(end.steps for end in ends)),
            evidence={
                "ranks": [end.rank for end in gone],
                "steps": {str(end.rank): end.steps for end in ends[:64]},
                "error": gone[0].error or trace.manifest.error,
            },
        )
        return
    spread = spread_of(ranks)
    one_machine = all(p.get("local_world_size") == world for p in started)
    missing = sorted(set(range(world)) - {t.rank for t in ranks})
    if missing and ended and one_machine and spread is not None and spread.replicates:
        yield Finding(
            f"{described(missing)} of {world} left no record: no optimizer step was made there.",
            steps=(0, max(end.steps for end in ends)),
            evidence={"ranks": missing[:64], "world_size": world},
        )


@dataclass(frozen=True, slots=True)
class _Nonfinite:
    """The first harmful value on a rank; `stage` is 0 before gradients are exchanged, else 1.

    `order` is the place in the order of execution.
    """

    step: int
    stage: int
    order: int
    what: str


@dataclass(frozen=True, slots=True)
class _End:
    """How a rank ended: `failed`, `finished`, `running`, or `silent` without an end mark."""

    rank: int
    steps: int
    how: str
    error: str | None

    @classmethod
    def of(cls, trace: Trace) -> "_End":
        stop = next(iter(trace.events_of(EventKind.RANK_STOP)), None)
        payload = stop.payload if stop is not None else {}
        error = text(payload, "error") or None
        if stop is None:
            how = "running" if trace.is_alive else "silent"
        else:
            how = "failed" if payload.get("status") == RunStatus.FAILED else "finished"
        return cls(trace.rank, len(trace.steps), how, error)

    @property
    def lost_a_peer(self) -> bool:
        """Whether the error that ended it is about a connection to other ranks."""
        return bool(self.error and _COMMUNICATION.search(self.error))

    @property
    def said(self) -> str:
        """The rank's end as a clause."""
        if self.how == "failed":
            return f"rank {self.rank} failed after {self.steps} steps with {self.error}"
        how = "" if self.how == "finished" else " without an end mark: it crashed or was killed"
        return f"rank {self.rank} ended after {self.steps} steps{how}"


def _lost(ends: list[_End], named: list[_End]) -> list[_End]:
    """The ranks that ended first and made the others end; `named` are those the launcher blames."""
    failed = [e for e in ends if e.how == "failed" and not e.lost_a_peer and not _was_stopped(e)]
    if len(failed) == len(ends) and len({e.steps for e in ends}) == 1:
        return []  # together, whichever of them the launcher noticed first
    silent = [e for e in ends if e.how == "silent"]
    # An exit may also be the answer to the signal by which a launcher stops the rest.
    raised = [e for e in failed if not (e.error or "").startswith("SystemExit")]
    alive_after = [e for e in ends if e.how != "silent" and not _was_stopped(e)]
    killed = silent if alive_after and not failed else []
    for first in (raised, killed, named, failed):
        if first and (len(first) < len(ends) or first is named):
            return first
    return []


def _named_by_launcher(trace: Trace, ends: list[_End]) -> list[_End]:
    """The rank whose failure made the launcher stop all others before they could report."""
    match = _FIRST_FAILURE.search(trace.manifest.error or "")
    if match is None or trace.status is RunStatus.RUNNING:
        return []
    first = int(match[1] or match[2])
    return [end for end in ends if end.rank == first and end.how != "running"]


def _was_stopped(end: _End) -> bool:
    return bool(end.error and end.error.startswith("KeyboardInterrupt"))


def _fate(others: list[_End]) -> str:
    """A sentence on what became of the other ranks; empty if there are none."""
    if not others:
        return ""
    words = {
        "failed": "failed after it",
        "finished": "ended normally",
        "running": "kept running",
        "silent": "stopped after it",
    }
    kinds = sorted({end.how for end in others})
    said = "; ".join(
        f"{described([end.rank for end in others if end.how == kind])} {words[kind]}"
        for kind in kinds
    )
    return f"{said.capitalize()}."


def _common_steps(ranks: tuple[Trace, ...], enough: int) -> IntArray:
    """The steps that every rank made after its first ones: unsampled steps if there are enough."""
    common = reduce(np.intersect1d, [trace.steps.step for trace in ranks])[_WARM_UP:]
    sampled = reduce(np.union1d, [trace.steps.step[trace.steps.sampled] for trace in ranks])
    plain = np.setdiff1d(common, sampled)
    return np.asarray(plain if len(plain) >= enough else common, dtype=np.int64)


def _behind(times: FloatArray) -> tuple[int, float]:
    """The slowest rank's place, and its typical delay behind the median of the others.

    Args:
        times: [ranks, steps] in nanoseconds.
    """
    best = (0, 0.0)
    for place in range(len(times)):
        others = np.median(np.delete(times, place, axis=0), axis=0)
        excess = times[place] - others
        excess = excess[np.isfinite(excess)]
        # The delay must occur in three steps of four: an occasional checkpoint makes no straggler.
        if len(excess) and np.quantile(excess, 0.25) > 0.0 and np.median(excess) > best[1]:
            best = (place, float(np.median(excess)))
    return best


def _first_nonfinite(trace: Trace) -> _Nonfinite | None:
    """The first harmful value on a rank, or None; an input alone, such as a mask, is harmless."""
    found: list[_Nonfinite] = []
    loss_from = loss_series(trace).nonfinite_from
    if loss_from is not None:
        found.append(_Nonfinite(loss_from, 0, list(_WORDS).index(Role.OUTPUT), "the loss"))
    for event in trace.events_of(EventKind.NONFINITE):
        role, path = text(event.payload, "role"), event.payload.get("site")
        if role in _WORDS:
            what = f"the {_WORDS[Role(role)]} `{path}`"
            stage, order = int(role not in _LOCAL), list(_WORDS).index(Role(role))
            found.append(_Nonfinite(event.step, stage, order, what))
    harmful = [one for one in found if one.order >= list(_WORDS).index(Role.OUTPUT)]
    if not harmful:
        return None
    start = min(one.step for one in harmful)
    at_start = (one for one in found if one.step == start)
    return min(at_start, key=lambda one: (one.stage, one.order, one.what))
