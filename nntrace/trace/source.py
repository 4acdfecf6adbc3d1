"""Reads the streams of one rank's folder into tables, whole or within a bound, as they grow."""

import re
from functools import partial
from pathlib import Path
from typing import Final

import pyarrow as pa

from nntrace.arrow import empty_table
from nntrace.errors import NotARunError
from nntrace.manifest import Manifest
from nntrace.schema import RANK_FOLDER, STREAMS
from nntrace.trace.model import BoolArray, IntArray
from nntrace.trace.packed import Stream, open_stream
from nntrace.trace.thinning import Thinning, some_of

_MAX_CHUNKS: Final = 4096  # a table in more chunks is slow to read; combining them copies it
_ROWS_AT_ONCE: Final = 250_000  # of a stream that is thinned as it is read
_ROWS_PER_HISTOGRAM: Final = 10  # rows of statistics that take as much space as one histogram
# Where thinned-out samples are not drawn, each stream's bound is `most_rows` divided by this.
_PARTS: Final = {"stats": 1, "histograms": _ROWS_PER_HISTOGRAM, "data": 250, "losses": 250}
_LARGE: Final = ("stats", "histograms", "tensors")
# What can be read of a long run without a noticeable wait, and the columns that a first look needs.
_FEW_BATCHES: Final = 100
_STEP_COLUMNS: Final = ("time_ns", "duration_ns", "loss", "lr", "grad_norm", "overhead_ns")


class Source:
    """The streams of one rank.

    Args:
        folder: the rank's folder.
        most_rows: the most rows of statistics to keep, by default all; beyond this number older
            samples are thinned out.
        drawn: whether to keep what is needed to draw thinned-out samples; else they are not even
            decoded.

    Attributes:
        tables: the rows read so far, by stream.
    """

    def __init__(self, folder: Path, most_rows: int | None = None, *, drawn: bool = True) -> None:
        self.tables = {name: empty_table(name) for name in STREAMS}
        self._streams: dict[str, Stream] = {name: open_stream(folder, name) for name in STREAMS}
        self._thinnings: dict[str, Thinning] = {}
        self._bounds: dict[str, int] = {}
        self._left_out = False
        if most_rows is not None and not drawn:
            self._bounds = {name: most_rows // part for name, part in _PARTS.items()}
        elif most_rows is not None:
            self._thinnings["stats"] = Thinning(most_rows, drawn=True)
            self._thinnings["histograms"] = Thinning(most_rows // _ROWS_PER_HISTOGRAM, drawn=False)

    @property
    def torn(self) -> tuple[str, ...]:
        """Streams whose last record is incomplete."""
        return tuple(name for name, stream in self._streams.items() if stream.torn)

    @property
    def is_thinned(self) -> bool:
        """Whether samples of the statistics were left out."""
        thinning = self._thinnings.get("stats")
        return self._left_out if thinning is None else thinning.left_out

    @property
    def extremes(self) -> pa.Table | None:
        """The statistics to draw in place of thinned ones; None where nothing was thinned out."""
        thinning = self._thinnings.get("stats")
        return None if thinning is None else thinning.extremes

    def read(self) -> bool:
        """Take in the rows written since the last call; return whether there were any."""
        grown = [self._read(name) for name in STREAMS]
        return any(grown)

    def read_newest(self) -> None:
        """Take in the first and last statistics, and enough steps and batches to see their course.

        The time this takes does not grow with the run.
        """
        for name, stream in self._streams.items():
            if name == "sites":
                self._read(name)
            elif name == "stats":
                self._add(name, stream.read_some(2))
            elif name not in _LARGE:
                columns = _STEP_COLUMNS if name == "steps" else None
                self._add(name, stream.read_some(_FEW_BATCHES, columns))

    def _read(self, name: str) -> bool:
        thinning = self._thinnings.get(name)
        most = None if thinning is None else _ROWS_AT_ONCE
        grown = False
        bound = self._bounds.pop(name, None)
        if bound is not None:
            some = self._streams[name].read_chosen(partial(self._choose, name, bound))
            self._add(name, some)
            return bool(some)
        while fresh := self._streams[name].read(most):
            grown = True
            self._add(name, fresh)
            if most is None:
                break
        return grown

    def _choose(self, name: str, most: int, steps: IntArray, rows: IntArray) -> BoolArray:
        kept = some_of(steps, rows, most)
        if name == "stats":
            self._left_out = not kept.all()
        return kept

    def _add(self, name: str, fresh: list[pa.RecordBatch]) -> None:
        if not fresh:
            return
        table, added = self.tables[name], pa.Table.from_batches(fresh)
        if name in self._thinnings:
            table = self._thinnings[name].take(table, added)
        else:
            table = pa.concat_tables([table, added])
        many = table.column(0).num_chunks > _MAX_CHUNKS
        self.tables[name] = table.combine_chunks() if many else table


def find_rank(run: Path, rank: int | None) -> tuple[Manifest, int]:
    """The manifest of a run folder, and the rank to read: the given one, else the lowest.

    Raises:
        NotARunError, SchemaVersionError: the folder is missing or not a readable run.
    """
    if not run.exists():
        raise NotARunError(f"{run} does not exist. `nntrace runs` lists the runs here.")
    if not run.is_dir():
        raise NotARunError(f"{run} is a file, not a run folder. Give the folder that holds it.")
    manifest, ranks = Manifest.read(run), ranks_of(run)
    if rank is not None and rank not in ranks:
        known = ", ".join(map(str, ranks)) or "none"
        raise NotARunError(f"{run} has no rank {rank}; its ranks: {known}.")
    return manifest, next(iter(ranks), 0) if rank is None else rank


def ranks_of(run: Path) -> tuple[int, ...]:
    """All ranks that have a folder in the run folder."""
    names = [entry.name for entry in run.iterdir() if entry.is_dir()]
    numbers = (int(n[5:]) for n in names if re.fullmatch(r"rank-[0-9]{5,9}", n))
    return tuple(sorted(number for number in numbers if RANK_FOLDER.format(number) in names))
