"""Reads the segments of one stream, complete batch by complete batch.

Any prefix of a stream is valid: an incomplete tail means "not yet", and the next `read` goes on
from the byte after the last complete batch. Bytes that can never become a batch are an error,
and so is an incomplete segment that another one follows: a writer ends one before it begins the
next.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
import pyarrow as pa

from nntrace.errors import DamagedTraceError
from nntrace.schema import SEGMENT
from nntrace.trace.messages import PREFIX_BYTES, FramingError, message_length
from nntrace.trace.model import BoolArray, IntArray
from nntrace.trace.segments import (
    BYTES_AT_ONCE,
    DECODE_ERRORS,
    Place,
    check_schema,
    damaged,
    decode,
    heads,
    in_groups,
    undecodable,
)

_BUFFER: Final = 1 << 15  # bytes of a segment read at once: dozens of messages of short steps
Choice = Callable[[IntArray, IntArray], BoolArray]


@dataclass(slots=True)
class _Position:
    """Where reading goes on: in a segment, its schema message once read, and whether it ended."""

    segment: int = 0
    offset: int = 0
    schema: bytes = b""
    has_ended: bool = False


@dataclass(slots=True)
class StreamFollower:
    """Reads one stream of one rank folder as it grows.

    Attributes:
        torn: whether the last record seen is incomplete.
    """

    folder: Path
    stream: str
    torn: bool = field(default=False, init=False)
    _position: _Position = field(default_factory=_Position, init=False)

    def read(self, most_rows: int | None = None) -> list[pa.RecordBatch]:
        """All rows completed since the last call, in today's schema; about `most_rows` if given.

        Raises:
            DamagedTraceError: bytes inside the stream cannot be decoded.
            SchemaVersionError: the stream was written in a newer, incompatible format.
        """
        rows: list[pa.RecordBatch] = []
        count = 0
        while most_rows is None or count < most_rows:
            begun = replace(self._position)
            batches, schemas = self._fresh_batches(BYTES_AT_ONCE)
            if not batches:
                break
            try:
                fresh = self._decoded(batches, schemas)
            except DamagedTraceError:  # go back, so that the next call fails again
                self._position = begun
                raise
            rows += fresh
            count += sum(batch.num_rows for batch in fresh)
        return rows

    def read_some(self, most: int, columns: Sequence[str] | None = None) -> list[pa.RecordBatch]:
        """At most `most` of the fresh batches, spread evenly from the first to the last.

        They are enough to tell the stream's extent or its course. The others count as read. With
        `columns`, all other columns are null.
        """
        batches, schemas = self._fresh_batches()
        last = max(1, min(most, len(batches)) - 1)
        chosen = {n * (len(batches) - 1) // last for n in range(last + 1)} if batches else set()
        return [
            batch
            for number in sorted(chosen)
            for batch in self._decoded([batches[number]], schemas, columns)
        ]

    def read_chosen(self, choose: Choice) -> list[pa.RecordBatch]:
        """The batches that `choose` picks, given the first step and the number of rows of each.

        Of the other batches only the steps are decoded. Batches written later come with the next
        `read`.
        """
        assert not self._position.offset, "the stream has been read before"
        places, schemas = self._fresh_batches()
        known = [
            head
            for path, of_segment in groupby(places, lambda place: place.path)
            for head in heads(list(of_segment), schemas[path])
        ]
        steps, rows = np.array(known, dtype=np.int64).reshape(-1, 2).T
        chosen = np.flatnonzero(choose(steps, rows))
        return self._decoded([places[number] for number in chosen], schemas)

    def read_last(self, rows: int) -> list[pa.RecordBatch]:
        """The last fresh batches with at least `rows` rows in all. The others count as read."""
        batches, schemas = self._fresh_batches()
        last: list[pa.RecordBatch] = []
        for place in reversed(batches):
            if rows <= 0:
                break
            found = self._decoded([place], schemas)
            last += found
            rows -= sum(batch.num_rows for batch in found)
        return last[::-1]

    def _decoded(
        self,
        places: Sequence[Place],
        schemas: Mapping[Path, bytes],
        columns: Sequence[str] | None = None,
    ) -> list[pa.RecordBatch]:
        """The batches at these places, without empty ones."""
        rows: list[pa.RecordBatch] = []
        for group in in_groups(places):
            rows += decode(group, schemas[group[0].path], self.stream, columns).to_batches()
        return [batch for batch in rows if batch.num_rows]

    def _fresh_batches(
        self, most_bytes: int | None = None
    ) -> tuple[list[Place], dict[Path, bytes]]:
        """The places of unread batches, up to about `most_bytes`, and the schemas by segment."""
        schemas = {self._path: self._position.schema}
        batches: list[Place] = []
        size = 0
        for place, file in self._fresh_messages():
            if most_bytes is not None and size >= most_bytes:
                break  # this message stays unread: the position has not moved past it
            if place.begins_segment:
                schema = self._position.schema = self._checked_schema(place, file)
                schemas[place.path] = schema
            else:
                batches.append(place)
                size += place.length
        return batches, schemas

    def _fresh_messages(self) -> Iterator[tuple[Place, BinaryIO]]:
        """Each complete message not yet read, and its open file."""
        last = max(self._segment_numbers(), default=-1)
        while self._position.segment <= last:
            if not self._position.has_ended:
                yield from self._segment_messages()
            position = self._position
            if position.segment == last:
                return
            if not position.has_ended:
                reason = "it ends within a record, yet another follows"
                raise damaged(self._path, position.offset, reason)
            self._position = _Position(position.segment + 1)

    @property
    def _path(self) -> Path:
        return self.folder / SEGMENT.format(self.stream, self._position.segment)

    def _segment_numbers(self) -> list[int]:
        pattern = re.compile(rf"{re.escape(self.stream)}-([0-9]{{5}})\.arrows")
        try:
            names = [entry.name for entry in self.folder.iterdir()]
        except OSError:
            return []
        return [int(match[1]) for name in names if (match := pattern.fullmatch(name))]

    def _segment_messages(self) -> Iterator[tuple[Place, BinaryIO]]:
        self.torn = False
        path, position = self._path, self._position
        with self._opened(path, position.offset) as file:
            size = os.fstat(file.fileno()).st_size
            while position.offset < size:
                start = position.offset
                file.seek(start)
                try:
                    length = message_length(file, size - start)
                except (FramingError, OSError) as error:
                    raise damaged(path, start, str(error)) from error
                if length is None:
                    self.torn = True
                    return
                if length == 0:
                    position.has_ended = True
                    if size > start + PREFIX_BYTES:
                        raise damaged(path, start, "bytes follow the end of the stream")
                    return
                yield Place(path, start, length), file
                position.offset += length  # only now, so that a message that fails here fails again

    def _opened(self, path: Path, position: int) -> BinaryIO:
        try:
            return path.open("rb", buffering=_BUFFER)
        except OSError as error:
            if isinstance(error, PermissionError):
                raise DamagedTraceError(f"{path} cannot be read: {error.strerror}.") from error
            raise damaged(path, position, error.strerror or "it cannot be read") from error

    def _checked_schema(self, place: Place, file: BinaryIO) -> bytes:
        """Read the schema message that begins a segment, and check version and key columns."""
        try:
            data = place.read(file)
            schema = pa.ipc.read_schema(pa.py_buffer(data))
            check_schema(schema, place.path, self.stream)
        except DECODE_ERRORS as error:
            raise undecodable(place) from error
        return data
