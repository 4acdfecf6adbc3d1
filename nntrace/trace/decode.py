"""Decodes the tables of a trace into the values it returns: each public function decodes one kind.

Rows are hostile input: impossible values are left out, missing ones get the value that means
"missing". `pyarrow.compute` is imported where it is needed: it takes a tenth of a second, for which
a first look need not wait.
"""

import json
import math
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa

from nntrace.schema import Role
from nntrace.trace.model import Batch, BoolArray, Event, FloatArray, IntArray, Site, Steps, Tensor

T = TypeVar("T")


def sites(table: pa.Table) -> tuple[Site, ...]:
    """All sites in the order of their ids."""
    rows = table.to_pylist()
    known = {role.value for role in Role}
    found = {
        row["id"]: Site(
            **{
                **row,
                "role": Role(row["role"]),
                "module_type": row["module_type"] or "",
                "shape": _known(row["shape"]),
                "dtype": row["dtype"] or "",
                "numel": row["numel"] or 0,
                "parent": row["parent"] or "",
            }
        )
        for row in rows
        if row["role"] in known  # roles of a newer format are skipped
    }
    return tuple(found[number] for number in sorted(found))


def steps(table: pa.Table) -> Steps:
    """Every optimizer step so far, in order."""
    return Steps(
        step=integers(table, "step"),
        time_ns=integers(table, "time_ns"),
        duration_ns=integers(table, "duration_ns"),
        data_wait_ns=floats(table, "data_wait_ns"),
        loss=floats(table, "loss"),
        lr=floats(table, "lr"),
        grad_norm=floats(table, "grad_norm"),
        batch_size=floats(table, "batch_size"),
        optimizer=_names(table["optimizer"]),
        phase=_names(table["phase"]),
        sampled=_flags(table, "sampled"),
        overhead_ns=integers(table, "overhead_ns"),
        gradients_cleared=floats(table, "gradients_cleared"),
        before_backward_ns=floats(table, "before_backward_ns"),
        backwards=floats(table, "backwards"),
        skipped=_flags(table, "skipped"),
        loss_scale=floats(table, "loss_scale"),
        memory_bytes=floats(table, "memory_bytes"),
        cpu_ns=floats(table, "cpu_ns"),
        clip_norm=floats(table, "clip_norm"),
        clip_limit=floats(table, "clip_limit"),
        gradient_cosine=floats(table, "gradient_cosine"),
        update_cosine=floats(table, "update_cosine"),
    )


def events(table: pa.Table) -> tuple[Event, ...]:
    """All events in the order they were recorded."""
    return tuple(
        Event(
            row["step"] or 0,
            row["time_ns"] or 0,
            row["kind"],
            row["severity"] or "info",
            row["site"],
            _payload(row["payload"]),
        )
        for row in table.to_pylist()
    )


def batches(table: pa.Table) -> tuple[Batch, ...]:
    """The sampled batches (`data`), or further loss functions' arguments (`losses`), in order."""
    return tuple(
        Batch(
            **{
                **row,
                "phase": row["phase"] or "train",
                "copied_labels": _known(row.get("copied_labels")),
                "label_values": _known(row["label_values"]),
                "label_counts": _known(row["label_counts"]),
                "term_names": _known(row.get("term_names")),
                "term_values": _known(row.get("term_values")),
            }
        )
        for row in table.to_pylist()
    )


def tensors(table: pa.Table) -> tuple[Tensor, ...]:
    """The tensors whose values were kept, in order; as float64, whatever their dtype was."""
    return tuple(tensor for row in table.to_batches() for tensor in _kept(row))


def scalars(table: pa.Table) -> dict[str, tuple[IntArray, FloatArray]]:
    """Steps and values by name, in the order they were logged."""
    import pyarrow.compute as pc

    names = table["name"]
    result = {}
    for name in pc.unique(names).to_pylist():
        rows = table.filter(pc.equal(names, name))
        result[name] = (rows["step"].to_numpy(), floats(rows, "value"))
    return result


def _known(values: Iterable[T | None] | None) -> tuple[T, ...]:
    """The value of a list column without nulls; empty for a null."""
    return tuple(value for value in values or () if value is not None)


def _kept(rows: pa.RecordBatch) -> Iterator[Tensor]:
    """The tensors of a record batch; one whose values do not fit its shape is skipped."""
    values = rows.column("values")
    for number, row in enumerate(rows.drop_columns("values").to_pylist()):
        shape = _known(row["kept_shape"])
        kept = values[number].values
        if kept is None or min(shape, default=1) < 0 or math.prod(shape) != len(kept):
            continue
        array = kept.to_numpy(zero_copy_only=False).reshape(shape)
        whole = _known(row["shape"])
        stride = max(1, row["stride"] or 1)
        dtype = row["dtype"] or ""
        yield Tensor(row["step"], row["role"], row["path"], whole, dtype, stride, array)


def floats(table: pa.Table, name: str) -> FloatArray:
    """A column as float64, NaN where it is null."""
    column = table[name]
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    return np.asarray(column.to_numpy(), dtype=np.float64)  # Arrow itself turns nulls into NaN


def integers(table: pa.Table, name: str) -> IntArray:
    """A column as int64, 0 where it is null."""
    column = table[name]
    return np.asarray((column.fill_null(0) if column.null_count else column).to_numpy(), np.int64)


def recorded(column: pa.ChunkedArray) -> BoolArray:
    """A mask of the values that are not null; a recorded NaN is a value."""
    known = [np.ones(0, dtype=np.bool_)]
    for chunk in column.chunks:
        bitmap = chunk.buffers()[0] if chunk.null_count else None
        if bitmap is None:
            known.append(np.ones(len(chunk), dtype=np.bool_))
        else:
            bits = np.unpackbits(np.frombuffer(bitmap, np.uint8), bitorder="little")
            known.append(bits[chunk.offset : chunk.offset + len(chunk)].astype(np.bool_))
    return np.concatenate(known)


def _flags(table: pa.Table, name: str) -> BoolArray:
    """A boolean column, False where it is null."""
    return np.asarray(floats(table, name) == 1.0)


def _names(column: pa.ChunkedArray) -> tuple[str, ...]:
    """A string column of few distinct values, "" where it is null."""
    names: list[str] = []
    for chunk in column.chunks:
        encoded = chunk.dictionary_encode()
        known = [*(name or "" for name in encoded.dictionary.to_pylist()), ""]
        numbers = encoded.indices.fill_null(len(known) - 1).to_numpy(zero_copy_only=False)
        names += np.array(known, dtype=object)[numbers].tolist()
    return tuple(names)


def _payload(text: str | None) -> dict[str, Any]:
    try:
        content = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
