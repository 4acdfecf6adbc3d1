"""Reads the segments of one stream, complete batch by complete batch.

Any prefix of a stream is valid: an incomplete tail means "not yet", and the next `read` goes on
from the byte after the last complete batch. Bytes that can never become a batch are an error,
and so is an incomplete segment that another one follows: a writer ends each before the next.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from nntrace.arrow import conform
from nntrace.errors import DamagedTraceError, SchemaVersionError
from nntrace.schema import SCHEMA_VERSION, SEGMENT
from nntrace.trace.messages import PREFIX_BYTES, FramingError, message_length

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

# The batches are small: handing their buffers to threads costs three times what it saves.
_READ_OPTIONS: Final = pa.ipc.IpcReadOptions(use_threads=False)


@dataclass(slots=True)
class StreamFollower:
    """The read position within one stream of one rank folder."""

    folder: Path
    stream: str
    _segment: int = 0
    _offset: int = 0
    _schema: bytes | None = None
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
        for data, start in self._fresh_messages():
            if most_rows is not None and count >= most_rows:
                break  # this message was not read yet, and is the next one
            batch = self._decode(data, start)
            if batch is not None and batch.num_rows:
                rows.append(batch)
                count += batch.num_rows
        self.rows_read += count
        return rows

    def read_ends(self) -> list[pa.RecordBatch]:
        """The first and the last of the fresh batches: enough to tell a stream's extent."""
        ends: list[pa.RecordBatch] = []
        last: tuple[memoryview, int] | None = None
        for data, start in self._fresh_messages():
            if start == 0 or not ends:
                batch = self._decode(data, start)
                ends += [] if batch is None else [batch]
            else:
                last = data, start
        if last is not None:
            batch = self._decode(*last)
            ends += [] if batch is None else [batch]
        return ends

    def _fresh_messages(self) -> Iterator[tuple[memoryview, int]]:
        """Each complete message not yet read and the byte of its segment at which it begins."""
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
                None,
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

    def _segment_messages(self) -> Iterator[tuple[memoryview, int]]:
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                fresh = memoryview(file.read())
        except OSError as error:
            raise self._damaged(self._offset, error.strerror or "it cannot be read") from error
        position = 0
        self.torn = False
        while position < len(fresh):
            start = self._offset
            try:
                length = message_length(fresh[position:])
            except FramingError as error:
                raise self._damaged(start, str(error)) from error
            if length is None:
                self.torn = True
                return
            if length == 0:
                self._ended = True
                if len(fresh) > position + PREFIX_BYTES:
                    raise self._damaged(start, "bytes follow the end of the stream")
                return
            yield fresh[position : position + length], start
            position += length
            self._offset += length  # only now: a message that cannot be decoded fails again

    def _decode(self, data: memoryview, start: int) -> pa.RecordBatch | None:
        """The message as a batch in today's schema; None for the schema message itself."""
        try:
            if self._schema is None:
                self._check_schema(data)
                self._schema = bytes(data)
                return None
            stream = pa.py_buffer(self._schema + data)
            batch = pa.ipc.open_stream(stream, options=_READ_OPTIONS).read_next_batch()
            if batch.num_rows > _LARGEST_BATCH:
                raise ValueError(f"a batch of {batch.num_rows} rows")
            batch.validate(full=True)
            return with_keys(conform(batch, self.stream), self.stream)
        except DECODE_ERRORS as error:
            raise self._damaged(start, "its bytes are not what they claim to be") from error

    def _check_schema(self, data: memoryview) -> None:
        schema = pa.ipc.read_schema(pa.py_buffer(data))
        version = (schema.metadata or {}).get(b"nntrace.schema", b"1")
        if version.isdigit() and int(version) > SCHEMA_VERSION:
            raise SchemaVersionError(
                f"{self._path} was written in trace format {int(version)}, this nntrace reads up "
                f"to {SCHEMA_VERSION}. Upgrade nntrace: pip install --upgrade nntrace."
            )
        missing = [key for key in KEYS[self.stream] if key not in schema.names]
        if missing:
            raise ValueError(f"no column {missing[0]}")

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
            rows = rows.filter(pc.is_valid(column))
    return rows
