"""All ranks of a run side by side: how far each is, how fast, and whether they agree.

It reads only the step and event streams of each rank, so that 64 ranks cost little.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa

from nntrace.arrow import arrow_schema
from nntrace.errors import NntraceError
from nntrace.schema import RANK_FOLDER, EventKind
from nntrace.trace.decode import floats
from nntrace.trace.follower import StreamFollower
from nntrace.trace.model import FloatArray

_WINDOW: Final = 200  # steps of each rank that are kept, and over which speed is measured


@dataclass(frozen=True, slots=True)
class RankSteps:
    """The last steps of a rank, whether it has ended, and why it cannot be read, if so."""

    rank: int
    steps: pa.Table
    has_stopped: bool = False
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class RankRow:
    """One rank; None where nothing was recorded.

    Attributes:
        lag: the number of steps behind the rank that is furthest.
        step_seconds: the median over the last steps.
        data_wait: the share of the time spent waiting for data.
        loss: at the last step that all ranks have finished.
        loss_ratio: that loss over the median of the ranks.
        seconds_behind: the time between its last step and the newest step of any rank.
    """

    rank: int
    step: int | None = None
    lag: int = 0
    step_seconds: float | None = None
    data_wait: float | None = None
    loss: float | None = None
    loss_ratio: float | None = None
    grad_norm: float | None = None
    seconds_behind: float | None = None
    has_stopped: bool = False
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class RanksPage:
    """The ranks in order; `shared_step` is the last step that all of them have finished."""

    rows: tuple[RankRow, ...] = ()
    shared_step: int | None = None
    shown_rank: int = 0


def ranks_page(ranks: Iterable[RankSteps], shown_rank: int = 0) -> RanksPage:
    """Build the page, which compares the ranks with one another."""
    ranks = tuple(ranks)
    ends = [rank.steps["step"][-1].as_py() for rank in ranks if len(rank.steps)]
    shared, furthest = min(ends, default=None), max(ends, default=0)
    rows = [_row(rank, shared, furthest) for rank in ranks]
    losses = [row.loss for row in rows if row.loss is not None]
    median = float(np.median(losses)) if losses else 0.0
    newest = max((_last_ns(rank) for rank in ranks), default=0)
    return RanksPage(
        tuple(
            replace(
                row,
                loss_ratio=row.loss / median if row.loss is not None and median else None,
                seconds_behind=(newest - _last_ns(rank)) / 1e9 if len(rank.steps) else None,
            )
            for row, rank in zip(rows, ranks, strict=True)
        ),
        shared,
        shown_rank,
    )


def _row(rank: RankSteps, shared: int | None, furthest: int) -> RankRow:
    steps = rank.steps
    if not len(steps):
        return RankRow(rank.rank, has_stopped=rank.has_stopped, problem=rank.problem)
    step = steps["step"][-1].as_py()
    waits, durations = (floats(steps, name) for name in ("data_wait_ns", "duration_ns"))
    known = durations[~np.isnan(durations)]
    return RankRow(
        rank=rank.rank,
        step=step,
        lag=furthest - step,
        step_seconds=float(np.median(known)) / 1e9 if len(known) else None,
        data_wait=None if np.isnan(waits).all() or not known.sum() else _share(waits, known),
        loss=_at(steps, "loss", shared),
        grad_norm=_last(steps, "grad_norm"),
        has_stopped=rank.has_stopped,
        problem=rank.problem,
    )


def _at(steps: pa.Table, column: str, step: int | None) -> float | None:
    """Return the value at a step; None if the step is older than those kept."""
    pairs = zip(steps["step"].to_pylist(), steps[column].to_pylist(), strict=True)
    return next((value for at, value in pairs if at == step and value is not None), None)


def _last(steps: pa.Table, column: str) -> float | None:
    values = steps[column].to_pylist()
    return next((value for value in reversed(values) if value is not None), None)


def _share(parts: FloatArray, whole: FloatArray) -> float:
    return float(np.nansum(parts) / whole.sum())


def _last_ns(rank: RankSteps) -> int:
    return int(_last(rank.steps, "time_ns") or 0) if len(rank.steps) else 0


@dataclass(slots=True)
class _Following:
    """The read positions in the streams of one rank."""

    steps: StreamFollower
    events: StreamFollower
    state: RankSteps


@dataclass(slots=True)
class RankReader:
    """Follows the steps of all ranks in a run folder."""

    run: Path
    _ranks: dict[int, _Following] = field(default_factory=dict)

    def read(self, ranks: Iterable[int]) -> Mapping[int, RankSteps]:
        """Read what is new of these ranks; return the state of all ranks read so far."""
        for number in ranks:
            if number not in self._ranks:
                folder = self.run / RANK_FOLDER.format(number)
                self._ranks[number] = _Following(
                    StreamFollower(folder, "steps"),
                    StreamFollower(folder, "events"),
                    RankSteps(number, arrow_schema("steps").empty_table()),
                )
            _read(self._ranks[number])
        return {number: self._ranks[number].state for number in self._ranks}


def _read(rank: _Following) -> None:
    """Read what is new, and keep only the last steps."""
    try:
        batches, events = rank.steps.read_last(_WINDOW), rank.events.read()
    except NntraceError as error:
        rank.state = replace(rank.state, problem=str(error))
        return
    if batches:
        table = pa.concat_tables([rank.state.steps, pa.Table.from_batches(batches)])
        table = table.slice(max(0, len(table) - _WINDOW)).combine_chunks()
        rank.state = replace(rank.state, steps=table)
    stopped = any(EventKind.RANK_STOP in batch.column("kind").to_pylist() for batch in events)
    if stopped:
        rank.state = replace(rank.state, has_stopped=True)
