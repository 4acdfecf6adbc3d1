"""Decodes complete messages of a segment, many at once.

A recorder flushes often, so that a long run is many thousand small batches, and the time goes into
the number of batches rather than of rows. An error names the place of the bytes that are damaged.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import BinaryIO, Final

import pyarrow as pa

from nntrace.arrow import Rows, conform, opened
from nntrace.errors import DamagedTraceError, SchemaVersionError
from nntrace.schema import SCHEMA_VERSION

# The columns that a row needs: a stream without one is not a stream of nntrace, and a row in which
# one is null is dropped.
KEYS: Final = {
    "sites": ("id", "path", "role"),
    "steps": ("step",),
    "stats": ("step", "site"),
    "histograms": ("step", "site"),
    "data": ("step",),
    "losses": ("step",),
    "tensors": ("step", "role", "path"),
    "scalars": ("step", "name"),
    "events": ("kind",),
}
# What Arrow raises on damaged bytes.
DECODE_ERRORS: Final = (
    pa.ArrowException,
    OSError,
    ValueError,
    TypeError,
    LookupError,
    MemoryError,
    OverflowError,
    StopIteration,
)
_LARGEST_BATCH: Final = 1 << 24  # rows; a damaged length must not make Arrow fill the memory
BYTES_AT_ONCE: Final = 1 << 22  # decoded together; a larger message is decoded alone


@dataclass(frozen=True, slots=True)
class Place:
    """The place of a complete message that has not been decoded yet."""

    path: Path
    start: int
    length: int

    @property
    def begins_segment(self) -> bool:
        """Whether the message is the schema and not a batch."""
        return self.start == 0

    def read(self, file: BinaryIO) -> bytes:
        """The bytes of the message."""
        file.seek(self.start)
        return file.read(self.length)


def in_groups(places: Iterable[Place]) -> Iterator[list[Place]]:
    """The places in order, in groups of one segment each, small enough to be decoded together."""
    for _, of_segment in groupby(places, lambda place: place.path):
        group: list[Place] = []
        size = 0
        for place in of_segment:
            if group and size + place.length > BYTES_AT_ONCE:
                yield group
                group, size = [], 0
            group.append(place)
            size += place.length
        yield group


def decode(
    places: Sequence[Place], schema: bytes, stream: str, columns: Sequence[str] | None = None
) -> pa.Table:
    """The batches of one segment at these places, in today's schema and in one piece.

    Args:
        places: the places, at least one, all in one segment.
        schema: the message that begins the segment.
        columns: the columns to decode besides the keys, by default all; the others are null.

    Raises:
        DamagedTraceError: a batch cannot be decoded.
    """
    try:
        rows = conform(_read(places, schema, stream, columns), stream)
        return with_keys(rows, stream).combine_chunks()
    except DECODE_ERRORS as error:
        if len(places) > 1:  # find the one that is damaged
            for place in places:
                decode([place], schema, stream, columns)
        raise undecodable(places[0]) from error


def heads(places: Sequence[Place], schema: bytes) -> list[tuple[int, int]]:
    """The first step and the number of rows of each batch; only the steps are decoded.

    Args:
        places: all batches of one segment, from its first one on.
        schema: the message that begins the segment.

    Raises:
        DamagedTraceError: a batch cannot be decoded.
    """
    found: list[tuple[int, int]] = []
    try:
        options = pa.ipc.IpcReadOptions(use_threads=False)
        options.included_fields = _numbers_of(("step",), schema)
        with opened(places[0].path) as file:
            batches = pa.ipc.open_stream(file, options=options)
            for _ in places:
                batch = batches.read_next_batch()
                batch.validate()
                steps = batch.column(0)
                found.append(((steps[0].as_py() or 0) if len(steps) else 0, len(steps)))
    except DECODE_ERRORS as error:
        raise undecodable(places[len(found)]) from error
    return found


def _read(
    places: Sequence[Place], schema: bytes, stream: str, columns: Sequence[str] | None
) -> pa.Table:
    """The batches as they were written, one chunk each, validated."""
    # The batches are small: handing their buffers to threads costs more than it saves.
    options = pa.ipc.IpcReadOptions(use_threads=False)
    if columns is not None:
        options.included_fields = _numbers_of((*columns, *KEYS[stream]), schema)
    with places[0].path.open("rb") as file:
        data = b"".join([schema, *(place.read(file) for place in _joined(places))])
    rows = pa.ipc.open_stream(pa.py_buffer(data), options=options).read_all()
    chunks = rows.column(0).chunks
    if len(chunks) != len(places):
        raise ValueError(f"{len(chunks)} batches where {len(places)} were expected")
    if max(len(chunk) for chunk in chunks) > _LARGEST_BATCH:
        raise ValueError("a batch of too many rows")
    rows.validate(full=True)
    return rows


def _joined(places: Sequence[Place]) -> list[Place]:
    """The same bytes in as few places as possible: adjacent ones are merged."""
    joined = [places[0]]
    for place in places[1:]:
        last = joined[-1]
        if last.start + last.length == place.start:
            joined[-1] = Place(last.path, last.start, last.length + place.length)
        else:
            joined.append(place)
    return joined


def _numbers_of(columns: Collection[str], schema: bytes) -> list[int]:
    """The positions of these columns in a segment's schema."""
    names = pa.ipc.read_schema(pa.py_buffer(schema)).names
    return [number for number, name in enumerate(names) if name in columns]


def check_schema(schema: pa.Schema, path: Path, stream: str) -> None:
    """Check the format's version and the key columns in the schema of a stream's file.

    Raises:
        SchemaVersionError: the file was written in a newer, incompatible format.
        ValueError: it lacks a key column.
    """
    version = (schema.metadata or {}).get(b"nntrace.schema", b"1")
    if version.isdigit() and int(version) > SCHEMA_VERSION:
        raise SchemaVersionError(
            f"{path} was written in trace format {int(version)}, this nntrace reads up to "
            f"{SCHEMA_VERSION}. Upgrade nntrace: pip install --upgrade nntrace."
        )
    for key in KEYS[stream]:
        if key not in schema.names:
            raise ValueError(f"no column {key}")


def undecodable(place: Place) -> DamagedTraceError:
    """The error for a message whose bytes Arrow refuses."""
    return damaged(place.path, place.start, "its bytes are not what they claim to be")


def damaged(path: Path, position: int, reason: str) -> DamagedTraceError:
    """The error for a segment that cannot be read beyond this position."""
    return DamagedTraceError(
        f"{path} is damaged at byte {position}: {reason}. Copy the run folder again, or open "
        "another run (`nntrace runs` lists them)."
    )


def with_keys(rows: Rows, stream: str) -> Rows:
    """The batch or table without rows in which a key column is null."""
    for key in KEYS[stream]:
        column = rows.column(key)
        if column.null_count:
            rows = rows.filter(column.is_valid())
    return rows
