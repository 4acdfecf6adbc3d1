"""Reads the segments of one stream, complete batch by complete batch.

Any prefix of a stream is valid: an incomplete tail means "not yet", and the next `read` goes on
from the byte after the last complete batch. Bytes that can never become a batch are an error.
Segments are hostile input: lengths are checked against the bytes present before Arrow sees them.
"""

import re
import struct
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from nntrace.arrow import arrow_schema, conform
from nntrace.errors import DamagedTraceError

_CONTINUATION = b"\xff\xff\xff\xff"


@dataclass(slots=True)
class StreamFollower:
    """The read position within one stream of one rank folder."""

    folder: Path
    stream: str
    _segment: int = 0
    _offset: int = 0
    _schema: pa.Schema | None = None
    _ended: bool = False
    rows_read: int = field(default=0, init=False)
    torn: bool = field(default=False, init=False)

    def read(self) -> list[pa.RecordBatch]:
        """All batches completed since the last call, in today's schema.

        Raises:
            DamagedTraceError: when bytes inside the stream cannot be decoded.
        """
        batches: list[pa.RecordBatch] = []
        numbers = self._segment_numbers()
        for number in [n for n in numbers if n >= self._segment]:
            if number != self._segment:
                self._segment, self._offset, self._schema, self._ended = number, 0, None, False
            if not self._ended:
                batches.extend(self._read_segment(self._path(number)))
        self.rows_read += sum(batch.num_rows for batch in batches)
        return batches

    def _path(self, number: int) -> Path:
        return self.folder / f"{self.stream}-{number:05d}.arrows"

    def _segment_numbers(self) -> list[int]:
        pattern = re.compile(rf"{re.escape(self.stream)}-(\d{{5}})\.arrows")
        try:
            names = [entry.name for entry in self.folder.iterdir()]
        except OSError:
            return []
        return sorted(int(m[1]) for name in names if (m := pattern.fullmatch(name)))

    def _read_segment(self, path: Path) -> list[pa.RecordBatch]:
        with path.open("rb") as file:
            file.seek(self._offset)
            fresh = file.read()
        batches: list[pa.RecordBatch] = []
        position = 0
        self.torn = False
        while position < len(fresh):
            length = self._message_length(path, fresh, position)
            if length == 0:
                self._ended = True
                break
            if length is None:
                self.torn = True
                break
            batch = self._decode(path, fresh[position : position + length], position)
            if batch is not None:
                batches.append(batch)
            position += length
        self._offset += position
        return batches

    def _message_length(self, path: Path, data: bytes, start: int) -> int | None:
        """Bytes of the message at `start`; 0 at the end-of-stream mark, None when incomplete."""
        head = data[start : start + 8]
        if len(head) < 8:
            if not _CONTINUATION.startswith(head[:4]):
                raise self._damaged(path, start)
            return None
        if head[:4] != _CONTINUATION:
            raise self._damaged(path, start)
        (metadata_length,) = struct.unpack("<i", head[4:])
        if metadata_length == 0:
            return 0
        if metadata_length < 0 or metadata_length % 8:
            raise self._damaged(path, start)
        if start + 8 + metadata_length > len(data):
            return None
        try:
            reader = pa.BufferReader(pa.py_buffer(memoryview(data)[start:]))
            pa.ipc.read_message(reader)
            return int(reader.tell())
        except (pa.ArrowException, OSError) as error:
            body_is_missing = "Expected to be able to read" in str(error)
            if body_is_missing:
                return None
            raise self._damaged(path, start) from error

    def _decode(self, path: Path, data: bytes, position: int) -> pa.RecordBatch | None:
        try:
            if self._schema is None:
                self._schema = pa.ipc.read_schema(pa.py_buffer(data))
                known = set(arrow_schema(self.stream).names)
                if not known & set(self._schema.names):
                    raise self._damaged(path, position)
                return None
            batch = pa.ipc.read_record_batch(pa.py_buffer(data), self._schema)
            batch.validate(full=True)
            return conform(batch, self.stream)
        except (pa.ArrowException, OSError, ValueError, MemoryError, OverflowError) as error:
            raise self._damaged(path, position) from error

    def _damaged(self, path: Path, position: int) -> DamagedTraceError:
        return DamagedTraceError(
            f"{path} is damaged at byte {self._offset + position}: it is not an intact nntrace "
            "stream. Copy the run folder again, or open another run (`nntrace runs` lists them)."
        )
