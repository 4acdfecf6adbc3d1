"""Packs a finished run: one Parquet file per stream in place of its segments.

The files are written beside the segments, their numbers of rows are read back and compared, and
only then do they replace the segments: an interrupted pack leaves a run that reads as before.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from nntrace.arrow import arrow_schema, opened
from nntrace.errors import NntraceError
from nntrace.keep.rounding import rounded
from nntrace.keep.size import bytes_by_part
from nntrace.schema import PACKED, RANK_FOLDER, STREAMS, RunStatus
from nntrace.trace import Trace
from nntrace.trace.segments import KEYS

_OPTIONS: Final[dict[str, Any]] = {
    "compression": "zstd",
    "compression_level": 19,
    "write_statistics": False,  # in short streams they would take more space than the values
    "store_schema": False,  # Parquet's own types are enough
}
_BY_SITE: Final = ("stats", "histograms")
_ROWS: Final = 1 << 20
_TRIED_ROWS: Final = 1 << 14


@dataclass(frozen=True, slots=True)
class Packed:
    """The bytes of a run's parts before and after packing, as `bytes_by_part` counts them."""

    parts_before: Mapping[str, int]
    parts_after: Mapping[str, int]

    @property
    def before(self) -> int:
        """The bytes of the whole run before."""
        return sum(self.parts_before.values())

    @property
    def after(self) -> int:
        """The bytes of the whole run afterwards."""
        return sum(self.parts_after.values())

    @property
    def rows_before(self) -> int:
        """The bytes of its streams before; capsules are not rows, and are not packed."""
        return sum(self.parts_before.get(stream, 0) for stream in STREAMS)

    @property
    def rows_after(self) -> int:
        """The bytes of its streams afterwards."""
        return sum(self.parts_after.get(stream, 0) for stream in STREAMS)

    @property
    def factor(self) -> float:
        """The factor by which the streams became smaller."""
        return self.rows_before / max(1, self.rows_after)


def pack(run: Path, *, lossless: bool = False) -> Packed:
    """Pack every rank of a run that is not running.

    Args:
        run: the run folder.
        lossless: keep every digit, even digits of estimates that lie below their own error
            (`rounding`). Statistics over all elements (`nntrace run --exact`) always keep them.

    Raises:
        NntraceError: the run is still going or is packed already, or a file could not be written.
    """
    before = bytes_by_part(run)
    trace = Trace.open(run)
    if trace.status is RunStatus.RUNNING:
        raise NntraceError(f"{run} is still running. Pack it when it has ended.")
    if not list(run.glob("rank-*/*.arrows")):
        raise NntraceError(f"{run} is packed already.")
    for rank in trace.ranks:
        _pack_rank(trace.of_rank(rank), run / RANK_FOLDER.format(rank), lossless)
    return Packed(before, bytes_by_part(run))


def _pack_rank(trace: Trace, folder: Path, lossless: bool) -> None:
    written = []
    for stream in STREAMS:
        table = _ordered(trace.table(stream), stream)
        if not (lossless or trace.manifest.config.get("exact")):
            table = rounded(table, stream, trace.table("sites"))
        table = _with_values(table, stream)
        if not table.num_rows:  # a missing file means the same
            continue
        part = folder / f".{stream}.parquet.part"
        with opened(part, "wb") as file:
            _write(table, file, _encodings(table))
        with opened(part) as file:
            is_whole = pq.read_metadata(file).num_rows == table.num_rows
        if not is_whole:
            raise NntraceError(f"{part} was not written completely; the run is unchanged.")
        written.append((part, folder / PACKED.format(stream)))
    for part, packed in written:
        part.replace(packed)
    for segment in folder.glob("*-[0-9]*.arrows"):
        segment.unlink()


def _ordered(table: pa.Table, stream: str) -> pa.Table:
    """The rows sorted by site, so that neighbours are alike and compress well."""
    table = table.replace_schema_metadata(arrow_schema(stream).metadata)
    if stream in _BY_SITE:
        table = table.sort_by([("site", "ascending"), ("step", "ascending")])
    return table


def _with_values(table: pa.Table, stream: str) -> pa.Table:
    """The table without columns that hold only nulls, which readers restore.

    Columns without nulls are declared non-nullable, so that nothing is stored about nulls.
    """
    keys = KEYS[stream]
    held = [name for name in table.column_names if table[name].null_count < table.num_rows]
    table = table.select([name for name in table.column_names if name in keys or name in held])
    fields = [field.with_nullable(table[field.name].null_count > 0) for field in table.schema]
    return table.cast(pa.schema(fields, table.schema.metadata))


def _write(
    table: pa.Table, where: pa.OSFile | pa.BufferOutputStream, encodings: dict[str, str]
) -> None:
    pq.write_table(
        table,
        where,
        row_group_size=_ROWS,
        use_dictionary=[name for name, kind in encodings.items() if kind == _DICTIONARY] or False,
        column_encoding={name: kind for name, kind in encodings.items() if kind != _DICTIONARY},
        **_OPTIONS,
    )


def _encodings(table: pa.Table) -> dict[str, str]:
    """The encoding of each column in which its first rows take the least space.

    For most numbers that is BYTE_STREAM_SPLIT, since signs and exponents repeat while the last
    digits never do; for steps and ids their differences, for names their common prefixes, for
    pixels a dictionary. A dictionary may fill up, so it is only tried where these rows are all.
    """
    part = table.slice(0, _TRIED_ROWS)
    kinds = {
        f"{field.name}.list.element" if pa.types.is_list(field.type) else field.name: getattr(
            field.type, "value_type", field.type
        )
        for field in table.schema
    }
    best: dict[str, tuple[int, str]] = {}
    for encoding, suits in _ENCODINGS.items():
        if encoding == _DICTIONARY and part.num_rows < table.num_rows:
            continue
        asked = {name: encoding if suits(kind) else _PLAIN for name, kind in kinds.items()}
        written = pa.BufferOutputStream()
        _write(part, written, asked)
        for name, size in _column_sizes(written.getvalue()).items():
            best[name] = min(best.get(name, (size, asked[name])), (size, asked[name]))
    return {name: encoding for name, (_, encoding) in best.items()}


def _column_sizes(file: pa.Buffer) -> dict[str, int]:
    metadata = pq.read_metadata(pa.BufferReader(file))
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    columns = [group.column(number) for group in groups for number in range(group.num_columns)]
    return {column.path_in_schema: column.total_compressed_size for column in columns}


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


_PLAIN: Final = "PLAIN"
_DICTIONARY: Final = "RLE_DICTIONARY"
_ENCODINGS: Final[dict[str, Callable[[pa.DataType], bool]]] = {
    _PLAIN: lambda kind: True,
    "BYTE_STREAM_SPLIT": _is_number,
    "DELTA_BINARY_PACKED": pa.types.is_integer,
    "DELTA_BYTE_ARRAY": pa.types.is_string,
    _DICTIONARY: lambda kind: not pa.types.is_boolean(kind),
}
