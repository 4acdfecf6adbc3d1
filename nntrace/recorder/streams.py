"""Appends rows to one stream of a rank folder: Arrow IPC, one record batch per call.

A batch reaches the operating system before `append_*` returns, so only rows not yet appended are
lost with the process. A segment is closed at 64 MiB and the next one begun.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from nntrace.arrow import arrow_schema, opened
from nntrace.recorder.columns import column
from nntrace.schema import SEGMENT, SEGMENT_BYTES

# Each column is compressed by itself: short columns get no smaller, but take twenty times as long
# to write and read. Batches of the streams not named here always have few rows; in `data` the
# labels can be many. zstd takes about 20 µs per column, LZ4 1 µs: `steps`, `data` and `losses` have
# many columns, mostly short.
_COMPRESSION = {
    **dict.fromkeys(("sites", "stats", "histograms", "tensors"), "zstd"),
    **dict.fromkeys(("steps", "data", "losses"), "lz4"),
}
_SHORT_COLUMN_BYTES = 32


class StreamWriter:
    """Writes one stream. Not thread-safe: it belongs to the writer thread."""

    def __init__(self, folder: Path, stream: str, *, segment_bytes: int = SEGMENT_BYTES) -> None:
        self._folder = folder
        self._stream = stream
        self._segment_bytes = segment_bytes
        self._number = 0
        self._schema = arrow_schema(stream)
        self._sink: pa.OSFile | None = None
        self._writer: pa.RecordBatchStreamWriter | None = None

    def append_rows(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write dictionaries as one batch; columns left out are null, other keys ignored."""
        if rows:
            arrays = [
                column([row.get(field.name) for row in rows], field.type) for field in self._schema
            ]
            self._write(pa.RecordBatch.from_arrays(arrays, schema=self._schema))

    def append_columns(self, columns: Mapping[str, Any], *, nan_is_null: bool = True) -> None:
        """Write columns of equal length as one batch; columns left out are null."""
        length = len(next(iter(columns.values())))
        if length:
            arrays = [
                column(columns[field.name], field.type, nan_is_null=nan_is_null)
                if field.name in columns
                else pa.nulls(length, field.type)
                for field in self._schema
            ]
            self._write(pa.RecordBatch.from_arrays(arrays, schema=self._schema))

    def open(self) -> None:
        """Create the segment's file, so that an empty stream has one, too.

        Its schema is written with the first batch or on close.

        Raises:
            OSError: the folder cannot be written to.
        """
        path = self._folder / SEGMENT.format(self._stream, self._number)
        self._sink = opened(path, "wb")
        # Arrow's own threads would take processors from the training, and go uncounted.
        options = pa.ipc.IpcWriteOptions(
            compression=_COMPRESSION.get(self._stream), use_threads=False
        )
        self._writer = pa.ipc.new_stream(self._sink, self._schema, options=options)

    def close(self) -> None:
        """End the stream with its end marker and close the file."""
        if self._writer is not None and self._sink is not None:
            self._writer.close()
            self._sink.close()
            self._writer = self._sink = None

    def _write(self, batch: pa.RecordBatch) -> None:
        if self._writer is None:
            self.open()
        assert self._writer is not None
        assert self._sink is not None
        begun = self._sink.tell() > 0  # else the Arrow writer has yet to write the schema
        if begun and batch.get_total_buffer_size() < _SHORT_COLUMN_BYTES * batch.num_columns:
            self._sink.write(batch.serialize())  # the same message, uncompressed
        else:
            self._writer.write_batch(batch)
        self._sink.flush()
        if self._sink.tell() >= self._segment_bytes:
            self.close()
            self._number += 1
