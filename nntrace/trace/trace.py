"""`Trace`: the read-only view of a run that rules, terminal, reports and queries share.

One class serves a finished run, a growing one (`refresh`), one rank of several (`of_rank`), a part
(`window`) and a synthetic one (`from_rows`). Its only data is one Arrow table per stream; the
other ranks of its run are traces of their own, opened on first use.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa

from nntrace.arrow import arrow_schema, empty_table
from nntrace.errors import NntraceError, NotARunError
from nntrace.experiment import BASELINE, Experiment
from nntrace.manifest import Manifest, process_is_alive
from nntrace.schema import RANK_FOLDER, STREAMS, EventKind, RunStatus
from nntrace.trace import summary
from nntrace.trace.contents import Contents
from nntrace.trace.segments import with_keys
from nntrace.trace.source import Source, find_rank, ranks_of

if TYPE_CHECKING:
    import pyarrow.compute as pc
    from rich.table import Table

    from nntrace.diagnosis import Diagnosis

Rows = Iterable[Mapping[str, Any]]


class Trace(Contents):
    """One rank of one run.

    Attributes:
        path: the run folder, or None for a synthetic trace.
        manifest: the run's manifest as of the last `refresh`.
        rank: the rank these rows come from.
    """

    def __init__(
        self,
        tables: Mapping[str, pa.Table],
        manifest: Manifest,
        *,
        path: Path | None = None,
        rank: int = 0,
    ) -> None:
        super().__init__(
            {name: with_keys(tables.get(name, empty_table(name)), name) for name in STREAMS}
        )
        self._source: Source | None = None
        self._bound: tuple[int | None, bool] = None, True  # `most_rows` and `drawn` of `open`
        self._peers: dict[int, Trace] = {rank: self}
        self._experiments: dict[str, Trace] = {}
        # Of a part: the trace it was cut from, and how to cut the same part from another rank.
        self._whole: tuple[Trace, Callable[[Trace], Trace]] | None = None
        self.manifest = manifest
        self.path = path
        self.rank = rank

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        rank: int | None = None,
        most_rows: int | None = None,
        drawn: bool = True,
    ) -> Self:
        """Open a run folder, by default at its lowest rank, and read all complete rows.

        Args:
            path: the run folder.
            rank: the rank to read.
            most_rows: the most rows of statistics to keep, by default all; older samples of a
                longer run are thinned out.
            drawn: whether thinned-out samples are to be drawn, by the property `drawn`; without
                it they cost next to nothing.

        Raises:
            NotARunError, SchemaVersionError: the folder is missing or not a readable run.
            DamagedTraceError: a stream inside it is damaged.
        """
        trace = cls._unread(Path(path), rank, most_rows, drawn=drawn)
        trace.refresh()
        return trace

    @classmethod
    def newest(cls, path: str | Path, *, rank: int | None = None) -> Self:
        """Open the run as it stands now, reading only what a quick look needs.

        That is the first and the last samples' statistics, enough of the other streams to see their
        course, and the columns of a step that a header shows. The trace does not grow.

        Raises:
            NotARunError, SchemaVersionError, DamagedTraceError: as `open`.
        """
        trace = cls._unread(Path(path), rank)
        assert trace._source is not None
        trace._source.read_newest()
        trace._tables, trace._source = trace._source.tables, None
        return trace

    @classmethod
    def _unread(
        cls, run: Path, rank: int | None, most_rows: int | None = None, *, drawn: bool = True
    ) -> Self:
        manifest, rank = find_rank(run, rank)
        trace = cls({}, manifest, path=run, rank=rank)
        trace._source = Source(run / RANK_FOLDER.format(rank), most_rows, drawn=drawn)
        trace._bound = most_rows, drawn
        trace._tables = trace._source.tables
        return trace

    @classmethod
    def from_rows(cls, *, manifest: Manifest | None = None, rank: int = 0, **streams: Rows) -> Self:
        """A synthetic trace, from dictionaries, one per row, by stream (`sites`, `steps`, …).

        Columns left out are null.
        """
        if unknown := set(streams) - set(STREAMS):
            raise TypeError(f"no such streams: {', '.join(sorted(unknown))}")
        tables = {
            name: pa.Table.from_pylist([dict(row) for row in rows], schema=arrow_schema(name))
            for name, rows in streams.items()
        }
        manifest = manifest or Manifest(name="synthetic", status=RunStatus.FINISHED)
        return cls(tables, manifest, rank=rank)

    @staticmethod
    def from_ranks(traces: Iterable["Trace"]) -> "Trace":
        """Traces of different ranks as one run, seen from the lowest rank."""
        by_rank = {trace.rank: trace for trace in traces}
        for trace in by_rank.values():
            trace._peers = dict(by_rank)
        return by_rank[min(by_rank)]

    def refresh(self) -> bool:
        """Read the rows written since the last call; True when there were any.

        Other ranks that were opened are read, too. A synthetic trace never changes.
        """
        changed = self._read_on()
        for peer in self._peers.values():
            if peer is not self:
                changed |= peer._read_on()
        return changed

    def _read_on(self) -> bool:
        changed = self._source is not None and self._source.read()
        if self.path is not None:
            self.manifest = Manifest.read(self.path)
        if changed:
            self._forget()
        return changed

    @property
    def status(self) -> RunStatus:
        """The status of the run, as far as this machine can tell."""
        if self.path is None:
            return RunStatus(self.manifest.status)
        return self.manifest.current_status(self.path)

    @property
    def overhead(self) -> float | None:
        """The share of the time that tracing took, so far or in all; None where unknown."""
        return summary.overhead(self)

    @property
    def last_loss(self) -> float | None:
        """The loss of the last step, which may be NaN; None where none is recorded."""
        return summary.last_loss(self)

    @property
    def torn_streams(self) -> tuple[str, ...]:
        """Streams whose last record is incomplete: still being written, or cut off."""
        return () if self._source is None else self._source.torn

    @property
    def ranks(self) -> tuple[int, ...]:
        """All ranks of the run."""
        if self.path is not None:
            return ranks_of(self.path)
        return tuple(sorted(self._peers)) if self._whole is None else self._whole[0].ranks

    def of_rank(self, rank: int) -> "Trace":
        """The same run, or the same part of it, as recorded by another rank; opened once.

        Raises:
            NotARunError, DamagedTraceError: there is no such rank, or its streams are damaged.
        """
        if rank not in self._peers:
            if self._whole is not None:
                whole, cut = self._whole
                self._peers[rank] = cut(whole.of_rank(rank))
            elif self.path is not None:
                most_rows, drawn = self._bound
                # A drawn bound is for the monitor, which opens ranks itself.
                most_rows = None if drawn else most_rows
                self._peers[rank] = Trace.open(
                    self.path, rank=rank, most_rows=most_rows, drawn=drawn
                )
            else:
                known = ", ".join(map(str, self.ranks))
                raise NotARunError(f"there is no rank {rank}; the ranks: {known}.")
        return self._peers[rank]

    def every_rank(self) -> tuple["Trace", ...]:
        """The run as recorded by each of its ranks, in the order of the ranks."""
        return tuple(self.of_rank(rank) for rank in self.ranks)

    @property
    def experiment(self) -> Experiment | None:
        """The experiment of `nntrace check` in this run; None for an ordinary run."""
        return Experiment.of_config(self.manifest.config)

    def under(self, name: str) -> "Trace | None":
        """The run of another experiment of the same check, by its name.

        None where there is none, and for any trace but the baseline's.
        """
        experiment = self.experiment
        if experiment is None or experiment.name != BASELINE:
            return None
        if name not in self._experiments and self.path is not None:
            folder = self.path.parent / name
            with suppress(NntraceError):
                found = Trace.open(folder)
                if found.experiment is not None and found.experiment.name == name:
                    self._experiments[name] = found
        return self._experiments.get(name)

    @staticmethod
    def from_experiments(baseline: "Trace", **others: "Trace") -> "Trace":
        """The runs of one check, seen from the baseline."""
        baseline._experiments = dict(others)
        return baseline

    @property
    def is_alive(self) -> bool:
        """Whether the process that recorded this rank still runs, as far as can be told here."""
        start = next(iter(self.events_of(EventKind.RANK_START)), None)
        if start is None or self.path is None:
            return False
        pid, host = start.payload.get("pid"), start.payload.get("host", self.manifest.host)
        folder = self.path / RANK_FOLDER.format(self.rank)
        return process_is_alive(pid, host, folder)

    @property
    def samples_left_out(self) -> int:
        """The number of older samples that were left out of a run opened with `most_rows`."""
        if self._source is None or not self._source.is_thinned:
            return 0
        return max(0, int(self.steps.sampled.sum()) - len(self.sampled_steps))

    def diagnose(self, **options: Any) -> "Diagnosis":
        """Say what is wrong with the run; the options are those of `nntrace.diagnose`."""
        from nntrace.api import diagnose

        return diagnose(self, **options)

    def report(self, file: str | Path | None = None) -> Path:
        """Write the run as one HTML page, by default `NAME.html`, and return the file's path.

        Raises:
            MissingExtraError: the extra `[report]` is not installed.
        """
        from nntrace.api import report

        return report(self, file)

    def __repr__(self) -> str:
        return summary.as_line(self)

    def __rich__(self) -> "Table":
        return summary.as_table(self)

    def _repr_html_(self) -> str:
        return summary.as_html(self)

    def window(self, *, last: int) -> "Trace":
        """The same run restricted to its last `last` optimizer steps; all sites are kept."""
        numbers = self.steps.step
        if len(numbers) <= last:
            return self
        first = int(numbers[-last]) if last > 0 else int(numbers[-1]) + 1
        return self._of_steps(_step_column() >= first, lambda peer: peer.window(last=last))

    def until(self, step: int) -> "Trace":
        """The same run as it stood after a step; all sites are kept."""
        return self._of_steps(_step_column() <= step, lambda peer: peer.until(step))

    @cached_property
    def drawn(self) -> "Trace":
        """The run for drawing: thinned-out stretches are replaced by their extremes."""
        extremes = None if self._source is None else self._source.extremes
        if extremes is None:
            return self
        return self._with({**self._tables, "stats": extremes})

    def frozen(self, others: "Iterable[Trace]" = ()) -> "Trace":
        """A trace of the same rows that no `refresh` changes, for use in another thread.

        `others` are other ranks to include. No rows are copied.
        """
        part = self._with(self._tables)
        part._peers |= {other.rank: other._with(other._tables) for other in others}
        return part

    def _with(self, tables: Mapping[str, pa.Table]) -> "Trace":
        """A trace of these rows, otherwise like this one."""
        return Trace(tables, self.manifest, path=self.path, rank=self.rank)

    def _of_steps(self, wanted: "pc.Expression", cut: Callable[["Trace"], "Trace"]) -> "Trace":
        tables = {
            name: table if name == "sites" else table.filter(wanted)
            for name, table in self._tables.items()
        }
        part = self._with(tables)
        part._whole = self, cut
        return part


def _step_column() -> "pc.Expression":
    import pyarrow.compute as pc  # takes a tenth of a second: only where it is needed

    return pc.field("step")
