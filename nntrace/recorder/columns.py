"""Arrow columns made of Python and NumPy values, without Arrow's own conversion.

`pyarrow.array` imports pandas, where it is installed, to know its types: half a second and tens of
megabytes in the middle of somebody's training, and while the program may be changing the filters of
warnings, which that import does as well.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

_NUMBERS: dict[pa.DataType, type[np.generic]] = {
    pa.int32(): np.int32,
    pa.int64(): np.int64,
    pa.float32(): np.float32,
    pa.float64(): np.float64,
    pa.bool_(): np.bool_,
}


def column(values: Any, kind: pa.DataType, *, nan_is_null: bool = False) -> pa.Array:
    """An Arrow array of a type of the schema: a number, a string, or a list of one of these.

    Args:
        values: a NumPy array, or a sequence in which None stands for null.
        kind: the type of the elements.
        nan_is_null: whether NaN stands for null, too.
    """
    if isinstance(values, pa.Array):
        return values.cast(kind)
    if pa.types.is_list(kind):
        return _lists(values, kind)
    if pa.types.is_string(kind):
        return _strings(values, kind)
    if isinstance(values, np.ndarray) and values.dtype != object:
        numbers, known = values, None
    else:
        known = np.array([value is not None for value in values], dtype=np.bool_)
        numbers = np.array([0 if value is None else value for value in values], _NUMBERS[kind])
    numbers = np.ascontiguousarray(numbers, dtype=_NUMBERS[kind])
    if nan_is_null and numbers.dtype.kind == "f":
        is_number = ~np.isnan(numbers)
        known = is_number if known is None else known & is_number
    data = _bits(numbers) if numbers.dtype == np.bool_ else pa.py_buffer(numbers)
    return pa.Array.from_buffers(kind, len(numbers), [_validity(known), data])


def lists(lengths: npt.NDArray[np.integer], values: npt.NDArray[Any]) -> pa.ListArray:
    """A list column: row i holds the next `lengths[i]` of the values."""
    inner = next(kind for kind, dtype in _NUMBERS.items() if dtype == values.dtype)
    return _list_array(pa.list_(inner), lengths, column(values, inner), None)


def _lists(rows: Sequence[Sequence[Any] | None], kind: pa.ListType) -> pa.Array:
    known = np.array([row is not None for row in rows], dtype=np.bool_)
    lengths = np.array([0 if row is None else len(row) for row in rows], dtype=np.int32)
    inner = [value for row in rows if row is not None for value in row]
    return _list_array(kind, lengths, column(inner, kind.value_type), known)


def _list_array(
    kind: pa.ListType,
    lengths: npt.NDArray[np.integer],
    inner: pa.Array,
    known: npt.NDArray[np.bool_] | None,
) -> pa.Array:
    buffers = [_validity(known), _offsets(lengths)]
    return pa.Array.from_buffers(kind, len(lengths), buffers, children=[inner])


def _strings(values: Sequence[str | None], kind: pa.DataType) -> pa.Array:
    encoded = [b"" if v is None else v.encode(errors="backslashreplace") for v in values]
    known = np.array([value is not None for value in values], dtype=np.bool_)
    lengths = np.array([len(value) for value in encoded], dtype=np.int32)
    data = pa.py_buffer(b"".join(encoded))
    return pa.Array.from_buffers(kind, len(encoded), [_validity(known), _offsets(lengths), data])


def _offsets(lengths: npt.NDArray[np.integer]) -> pa.Buffer:
    offsets = np.zeros(len(lengths) + 1, dtype=np.int32)
    np.cumsum(lengths, out=offsets[1:])
    return pa.py_buffer(offsets)


def _validity(known: npt.NDArray[np.bool_] | None) -> pa.Buffer | None:
    return None if known is None or known.all() else _bits(known)


def _bits(values: npt.NDArray[np.bool_]) -> pa.Buffer:
    return pa.py_buffer(np.packbits(values, bitorder="little"))
