"""Packs a finished run: one Parquet file per stream in place of its segments.

The files are written beside the segments, read back and compared in their number of rows, and only
then put in their place: an interrupted pack leaves a run that reads as before.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nntrace.arrow import arrow_schema
from nntrace.errors import NntraceError
from nntrace.keep.size import bytes_on_disk
from nntrace.schema import PACKED, RANK_FOLDER, STATISTICS, STREAMS, RunStatus
from nntrace.trace import Trace

_LEVEL: Final = 12  # of zstd
_SPLIT: Final = "BYTE_STREAM_SPLIT"
_BY_SITE: Final = ("stats", "histograms")
_ROWS: Final = 1 << 20
_DROPPED: Final = 16  # of the 24 significant bits of a float32
_HALF: Final = 1 << (_DROPPED - 1)


@dataclass(frozen=True, slots=True)
class Packed:
    """Bytes of a run before and after."""

    before: int
    after: int

    @property
    def factor(self) -> float:
        """How many times smaller it became."""
        return self.before / max(1, self.after)


def pack(run: Path, *, rounded: bool = False) -> Packed:
    """Pack every rank of a run that is not running.

    Args:
        run: its folder.
        rounded: keep 8 significant bits of the statistics, a relative error of at most 0.4 %.
            They are estimates from at most 4096 elements, whose own error is larger. Zeros,
            infinities, NaN and whole numbers up to 256 stay as they are.

    Raises:
        NntraceError: the run is still going, is packed already, or its tail is torn.
    """
    before = bytes_on_disk(run)
    trace = Trace.open(run)
    if trace.status is RunStatus.RUNNING:
        raise NntraceError(f"{run} is still running. Pack it when it has ended.")
    if not list(run.glob("rank-*/*.arrows")):
        raise NntraceError(f"{run} is packed already.")
    for rank in trace.ranks:
        _pack_rank(trace.of_rank(rank), run / RANK_FOLDER.format(rank), rounded)
    return Packed(before, bytes_on_disk(run))


def _pack_rank(trace: Trace, folder: Path, rounded: bool) -> None:
    written = []
    for stream in STREAMS:
        table = _ordered(trace.table(stream), stream)
        if rounded and stream == "stats":
            table = _rounded(table)
        part = folder / f".{stream}.parquet.part"
        pq.write_table(table, part, row_group_size=_ROWS, **_encoding(stream))
        if pq.read_metadata(part).num_rows != table.num_rows:
            raise NntraceError(f"{part} did not reach the disk whole; the run is as it was.")
        written.append((part, folder / PACKED.format(stream)))
    for part, packed in written:
        part.replace(packed)
    for segment in folder.glob("*-[0-9]*.arrows"):
        segment.unlink()


def _ordered(table: pa.Table, stream: str) -> pa.Table:
    """The rows of one site one after the other: neighbours are then alike, and pack well."""
    table = table.replace_schema_metadata(arrow_schema(stream).metadata)
    if stream in _BY_SITE:
        table = table.sort_by([("site", "ascending"), ("step", "ascending")])
    return table


def _rounded(table: pa.Table) -> pa.Table:
    """The statistics with 8 significant bits."""
    for name in STATISTICS:
        column = table[name].combine_chunks()
        values = np.array(column.fill_null(float("nan")), dtype=np.float32)
        bits = values.view(np.uint32).astype(np.uint64)
        nearest = (((bits + _HALF) >> _DROPPED) << _DROPPED).astype(np.uint32).view(np.float32)
        kept = np.where(np.isfinite(nearest) & np.isfinite(values), nearest, values)
        array = pa.array(kept, type=pa.float32(), mask=np.array(column.is_null()))
        table = table.set_column(table.schema.get_field_index(name), name, array)
    return table


def _encoding(stream: str) -> dict[str, Any]:
    """What makes a stream small: the bytes of numbers apart, signs and exponents repeat where the
    last digits never do; no statistics of columns, which few rows would have more of than values.
    """
    options: dict[str, Any] = {
        "compression": "zstd",
        "compression_level": _LEVEL,
        "use_dictionary": False,
        "write_statistics": False,
        "store_schema": False,  # Parquet's types say it all
    }
    if stream != "tensors":  # pictures repeat as they are
        options["column_encoding"] = {
            f"{field.name}.list.element" if pa.types.is_list(field.type) else field.name: _SPLIT
            for field in arrow_schema(stream)
            if _is_number(getattr(field.type, "value_type", field.type))
        }
    return options


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))
