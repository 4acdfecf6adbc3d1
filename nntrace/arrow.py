"""The Arrow side of `schema`: the one place that turns column declarations into Arrow schemas."""

import os
from functools import cache
from pathlib import Path
from typing import TypeVar

import pyarrow as pa

from nntrace.schema import SCHEMA_VERSION, STREAMS

Rows = TypeVar("Rows", pa.RecordBatch, pa.Table)

_SCALARS = {
    "int32": pa.int32(),
    "int64": pa.int64(),
    "float32": pa.float32(),
    "float64": pa.float64(),
    "bool": pa.bool_(),
    "string": pa.string(),
}


def _arrow_type(name: str) -> pa.DataType:
    if name.startswith("list<"):
        return pa.list_(_SCALARS[name[5:-1]])
    return _SCALARS[name]


@cache
def arrow_schema(stream: str) -> pa.Schema:
    """The Arrow schema of a stream, stamped with the format version."""
    fields = [pa.field(column.name, _arrow_type(column.type)) for column in STREAMS[stream]]
    return pa.schema(fields, metadata={"nntrace.schema": str(SCHEMA_VERSION), "stream": stream})


def opened(path: Path, mode: str = "rb") -> pa.OSFile:
    """The file as Arrow reads or writes it, also where the path's bytes are not UTF-8.

    Raises:
        OSError: it cannot be opened.
    """
    return pa.OSFile(os.fsencode(path), mode)


def conform(batch: Rows, stream: str) -> Rows:
    """Give a batch or table of an older or newer minor format exactly today's columns.

    Missing columns become nulls; unknown ones are dropped.

    Raises:
        pa.ArrowInvalid: when a column's values cannot be read as the declared type.
    """
    schema = arrow_schema(stream)
    if batch.schema.equals(schema):
        return batch
    present = set(batch.schema.names)
    columns = [
        batch.column(field.name).cast(field.type)
        if field.name in present
        else pa.nulls(batch.num_rows, field.type)
        for field in schema
    ]
    return type(batch).from_arrays(columns, schema=schema)


def empty_table(stream: str) -> pa.Table:
    """A table of the stream's schema with no rows."""
    return arrow_schema(stream).empty_table()
