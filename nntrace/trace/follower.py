"""Reads the segments of one stream, complete batch by complete batch.

Any prefix of a stream is valid: an incomplete tail means "not yet", and the next `read` goes on
from the byte after the last complete batch. Bytes that can never become a batch are an error,
and so is an incomplete segment that another one follows: a writer ends each before the next.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
import pyarrow as pa

from nntrace.arrow import conform
from nntrace.errors import DamagedTraceError, SchemaVersionError
from nntrace.schema import SCHEMA_VERSION, SEGMENT
from nntrace.trace.messages import PREFIX_BYTES, FramingError, message_length
from nntrace.trace.model import BoolArray, IntArray

# What a row cannot do without: a stream that lacks such a column is none of ours, and a row in
# which one is null says nothing.
KEYS: Final = {
    "sites": ("id", "path", "role"),
    "steps": ("step",),
    "stats": ("step", "site"),
    "histograms": ("step", "site"),
    "data": ("step",),
    "tensors": ("step", "role", "path"),
    "scalars": ("step", "name"),
    "events": ("kind",),
}
STEP: Final = "step"
Choice = Callable[[IntArray, IntArray], BoolArray]
_LARGEST_BATCH: Final = 1 << 24  # rows; a damaged length must not make Arrow fill the memory

# What Arrow raises on bytes that are not what they claim to be.
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


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a complete message stands that was not read yet."""

    path: Path
    start: int
    length: int

    @property
    def begins_segment(self) -> bool:
        """Whether it is the schema and not a batch."""
        return self.start == 0

    def read(self, file: BinaryIO) -> bytes:
        """Its bytes."""
        file.seek(self.start)
        return file.read(self.length)


@dataclass(slots=True)
class StreamFollower:
    """The read position within one stream of one rank folder."""

    folder: Path
    stream: str
    _segment: int = 0
    _offset: int = 0
    _schema: bytes = b""
    _ended: bool = False
    rows_read: int = field(default=0, init=False)
    torn: bool = field(default=False, init=False)

    def read(self, most_rows: int | None = None) -> list[pa.RecordBatch]:
        """All batches completed since the last call, in today's schema, or as many as hold so many
        rows.

        Raises:
            DamagedTraceError: when bytes inside the stream cannot be decoded.
            SchemaVersionError: the stream was written in a newer, incompatible format.
        """
        rows: list[pa.RecordBatch] = []
        count = 0
        reader: pa.RecordBatchReader | None = None
        for place, file in self._fresh_messages():
            if most_rows is not None and count >= most_rows:
                break  # this message was not read yet, and is the next one
            if place.begins_segment:
                self._schema = self._checked_schema(place, file)
                reader = self._reader(place)
                continue
            if reader is None:  # the segment was begun before
                batch = self._decode(place, file, self._schema)
            else:
                batch = self._next(reader, place)
            if batch.num_rows:
                rows.append(batch)
                count += batch.num_rows
        self.rows_read += count
        return rows

    def read_some(self, most: int, columns: Sequence[str] | None = None) -> list[pa.RecordBatch]:
        """At most so many of the fresh batches, from the first to the last: enough to tell the
        stream's extent, or its course. The others count as read. With `columns`, all others are
        null.
        """
        batches, schemas = self._fresh_batches()
        last = max(1, min(most, len(batches)) - 1)
        chosen = {n * (len(batches) - 1) // last for n in range(last + 1)} if batches else set()
        return [self._decode_at(batches[number], schemas, columns) for number in sorted(chosen)]

    def read_chosen(self, choose: Choice) -> list[pa.RecordBatch]:
        """Of all batches those that `choose` picks, told the first step and the number of rows of
        each; later ones with the next `read`. Of the others nothing but the steps is decoded.
        """
        assert not self._offset, "a stream that was not read yet"
        places, schemas = self._fresh_batches()
        heads = [self._head(place, reader) for place, reader in self._at_steps(places, schemas)]
        steps, rows = np.array(heads, dtype=np.int64).reshape(-1, 2).T
        chosen = np.flatnonzero(choose(steps, rows))
        kept: list[pa.RecordBatch] = []
        for path, group in groupby((places[number] for number in chosen), lambda place: place.path):
            with self._opened(path, 0) as file:
                kept += [self._decode(place, file, schemas[path]) for place in group]
        return [batch for batch in kept if batch.num_rows]

    def _at_steps(
        self, places: Sequence[_Place], schemas: Mapping[Path, bytes]
    ) -> Iterator[tuple[_Place, pa.RecordBatchReader]]:
        """Each batch, and a reader of its segment's steps that has come to it."""
        for path, group in groupby(places, lambda place: place.path):
            reader: pa.RecordBatchReader | None = None
            for place in group:
                reader = reader or self._reader(place, (STEP,), schemas[path])
                yield place, reader

    def _head(self, place: _Place, reader: pa.RecordBatchReader) -> tuple[int, int]:
        """The first step of a batch, and its number of rows."""
        try:
            batch = reader.read_next_batch()
            return (batch.column(0)[0].as_py() or 0) if batch.num_rows else 0, batch.num_rows
        except DECODE_ERRORS as error:
            raise self._undecodable(place) from error

    def read_last(self, rows: int) -> list[pa.RecordBatch]:
        """The last of the fresh batches, as many as hold so many rows. The others count as read."""
        batches, schemas = self._fresh_batches()
        last: list[pa.RecordBatch] = []
        for place in reversed(batches):
            if rows <= 0:
                break
            last.append(self._decode_at(place, schemas))
            rows -= last[-1].num_rows
        return last[::-1]

    def _fresh_batches(self) -> tuple[list[_Place], dict[Path, bytes]]:
        """Where the batches stand that were not read yet, and by segment the schemas."""
        schemas = {self._path: self._schema}
        batches: list[_Place] = []
        for place, file in self._fresh_messages():
            if place.begins_segment:
                schemas[place.path] = self._schema = self._checked_schema(place, file)
            else:
                batches.append(place)
        return batches, schemas

    def _fresh_messages(self) -> Iterator[tuple[_Place, BinaryIO]]:
        """Each complete message not yet read, and its open file."""
        last = max(self._segment_numbers(), default=-1)
        while self._segment <= last:
            if not self._ended:
                yield from self._segment_messages()
            if self._segment == last:
                return
            if not self._ended:
                raise self._damaged(self._offset, "it ends within a record, yet another follows")
            self._segment, self._offset, self._schema, self._ended = (
                self._segment + 1,
                0,
                b"",
                False,
            )

    @property
    def _path(self) -> Path:
        return self.folder / SEGMENT.format(self.stream, self._segment)

    def _segment_numbers(self) -> list[int]:
        pattern = re.compile(rf"{re.escape(self.stream)}-([0-9]{{5}})\.arrows")
        try:
            names = [entry.name for entry in self.folder.iterdir()]
        except OSError:
            return []
        return [int(match[1]) for name in names if (match := pattern.fullmatch(name))]

    def _segment_messages(self) -> Iterator[tuple[_Place, BinaryIO]]:
        self.torn = False
        with self._opened(self._path, self._offset) as file:
            size = os.fstat(file.fileno()).st_size
            while self._offset < size:
                start = self._offset
                file.seek(start)
                try:
                    length = message_length(file, size - start)
                except (FramingError, OSError) as error:
                    raise self._damaged(start, str(error)) from error
                if length is None:
                    self.torn = True
                    return
                if length == 0:
                    self._ended = True
                    if size > start + PREFIX_BYTES:
                        raise self._damaged(start, "bytes follow the end of the stream")
                    return
                yield _Place(self._path, start, length), file
                self._offset += length  # only now: what cannot be decoded fails again

    def _opened(self, path: Path, position: int) -> BinaryIO:
        try:
            return path.open("rb")
        except OSError as error:
            raise self._damaged(position, error.strerror or "it cannot be read") from error

    def _checked_schema(self, place: _Place, file: BinaryIO) -> bytes:
        """The message that says what columns the segment has."""
        try:
            data = place.read(file)
            schema = pa.ipc.read_schema(pa.py_buffer(data))
            version = (schema.metadata or {}).get(b"nntrace.schema", b"1")
            if version.isdigit() and int(version) > SCHEMA_VERSION:
                raise SchemaVersionError(
                    f"{place.path} was written in trace format {int(version)}, this nntrace reads "
                    f"up to {SCHEMA_VERSION}. Upgrade nntrace: pip install --upgrade nntrace."
                )
            missing = [key for key in KEYS[self.stream] if key not in schema.names]
            if missing:
                raise ValueError(f"no column {missing[0]}")
        except DECODE_ERRORS as error:
            raise self._undecodable(place) from error
        return data

    def _decode_at(
        self, place: _Place, schemas: Mapping[Path, bytes], columns: Sequence[str] | None = None
    ) -> pa.RecordBatch:
        with self._opened(place.path, place.start) as file:
            return self._decode(place, file, schemas[place.path], columns)

    def _decode(
        self, place: _Place, file: BinaryIO, schema: bytes, columns: Sequence[str] | None = None
    ) -> pa.RecordBatch:
        """The message as a batch in today's schema."""
        try:
            # The batches are small: handing their buffers to threads costs more than it saves.
            options = pa.ipc.IpcReadOptions(use_threads=False)
            if columns is not None:
                options.included_fields = self._numbers_of(columns, schema)
            stream = pa.py_buffer(schema + place.read(file))
            reader = pa.ipc.open_stream(stream, options=options)
        except DECODE_ERRORS as error:
            raise self._undecodable(place) from error
        return self._next(reader, place)

    def _reader(
        self, place: _Place, columns: Sequence[str] | None = None, schema: bytes = b""
    ) -> pa.RecordBatchReader:
        """Of a whole segment, from its schema on: it keeps step with the messages."""
        try:
            options = pa.ipc.IpcReadOptions(use_threads=False)
            if columns is not None:
                options.included_fields = self._numbers_of(columns, schema)
            return pa.ipc.open_stream(pa.OSFile(str(place.path)), options=options)
        except DECODE_ERRORS as error:
            raise self._undecodable(place) from error

    def _next(self, reader: pa.RecordBatchReader, place: _Place) -> pa.RecordBatch:
        """The message a reader has come to, as a batch in today's schema."""
        try:
            batch = reader.read_next_batch()
            if batch.num_rows > _LARGEST_BATCH:
                raise ValueError(f"a batch of {batch.num_rows} rows")
            batch.validate(full=True)
            return with_keys(conform(batch, self.stream), self.stream)
        except DECODE_ERRORS as error:
            raise self._undecodable(place) from error

    def _numbers_of(self, columns: Sequence[str], schema: bytes) -> list[int]:
        """Where these columns, and the keys, stand in a segment."""
        wanted = {*columns, *KEYS[self.stream]}
        names = pa.ipc.read_schema(pa.py_buffer(schema)).names
        return [number for number, name in enumerate(names) if name in wanted]

    def _undecodable(self, place: _Place) -> DamagedTraceError:
        return self._damaged(place.start, "its bytes are not what they claim to be")

    def _damaged(self, position: int, reason: str) -> DamagedTraceError:
        return DamagedTraceError(
            f"{self._path} is damaged at byte {position}: {reason}. Copy the run folder again, "
            "or open another run (`nntrace runs` lists them)."
        )


def with_keys(rows: pa.RecordBatch, stream: str) -> pa.RecordBatch:
    """The batch or table without the rows that lack a key."""
    for key in KEYS[stream]:
        column = rows.column(key)
        if column.null_count:
            rows = rows.filter(column.is_valid())
    return rows
