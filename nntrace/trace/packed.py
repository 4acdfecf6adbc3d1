"""Reads a packed stream: one Parquet file in place of the segments, checked as carefully.

`nntrace pack` writes these files. Where a Parquet file and segments lie side by side (packing was
interrupted), the file counts: it is renamed into place only when it is whole.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from nntrace.arrow import conform, opened
from nntrace.errors import DamagedTraceError
from nntrace.schema import PACKED
from nntrace.trace.follower import Choice, StreamFollower
from nntrace.trace.segments import DECODE_ERRORS, check_schema, with_keys

_LARGEST_FILE = 1 << 36
_PACKED_BY_SITE = ("stats", "histograms")  # reading restores the recorder's order, by step


class Stream(Protocol):
    """A stream on disk, which returns the rows added since the last `read`.

    Attributes:
        torn: whether its last record is incomplete.
    """

    torn: bool

    def read(self, most_rows: int | None = None) -> list[pa.RecordBatch]:
        """All batches completed since the last call, in today's schema.

        With `most_rows`, only until they hold so many rows, where the stream allows it.
        """
        ...

    def read_some(self, most: int, columns: Sequence[str] | None = None) -> list[pa.RecordBatch]:
        """At most `most` of the fresh batches where that is faster, else all of them.

        The first and the last are among them. With `columns`, all other columns may be null.
        """
        ...

    def read_chosen(self, choose: Choice) -> list[pa.RecordBatch]:
        """The batches that `choose` picks from an unread stream, or all batches.

        `choose` is given the first step and the number of rows of each batch; all batches are
        returned where these are not known.
        """
        ...


def open_stream(folder: Path, stream: str) -> Stream:
    """The stream of a rank folder, packed or in segments."""
    packed = folder / PACKED.format(stream)
    return PackedStream(packed, stream) if packed.is_file() else StreamFollower(folder, stream)


@dataclass(slots=True)
class PackedStream:
    """One Parquet file; it never grows."""

    path: Path
    stream: str
    torn: bool = field(default=False, init=False)
    _read: bool = field(default=False, init=False)

    def read(self, most_rows: int | None = None) -> list[pa.RecordBatch]:
        """All rows on the first call, nothing afterwards.

        Raises:
            DamagedTraceError: the file is not a valid packed stream.
            SchemaVersionError: it was written in a newer, incompatible format.
        """
        if self._read:
            return []
        import pyarrow.parquet as pq  # a large module, and most runs are not packed

        try:
            if self.path.stat().st_size > _LARGEST_FILE:
                raise ValueError("a file of impossible size")
            with opened(self.path) as packed, pq.ParquetFile(packed) as file:
                check_schema(file.schema_arrow, self.path, self.stream)
                table = file.read()
            if self.stream in _PACKED_BY_SITE:
                table = table.sort_by([("step", "ascending"), ("site", "ascending")])
            batches = table.to_batches()
            rows = [with_keys(conform(batch, self.stream), self.stream) for batch in batches]
            for batch in rows:
                batch.validate(full=True)
        except DECODE_ERRORS as error:
            raise DamagedTraceError(
                f"{self.path} is damaged: it is not the packed stream it claims to be. Copy the "
                "run folder again, or open another run (`nntrace runs` lists them)."
            ) from error
        self._read = True
        return [batch for batch in rows if batch.num_rows]

    def read_chosen(self, choose: Choice) -> list[pa.RecordBatch]:
        """All rows: in the file they are sorted by site and lie in large pieces."""
        return self.read()

    def read_some(self, most: int, columns: Sequence[str] | None = None) -> list[pa.RecordBatch]:
        """All rows: a packed file is small."""
        return self.read()
