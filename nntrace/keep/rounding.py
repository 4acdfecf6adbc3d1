"""Rounds the estimates in a run that is being packed, by less than their own error.

A statistic of 4096 elements has a standard error of 1 % and more. Values that are not estimates are
kept: losses, learning rates, norms, batches, counts, histograms, events (except for the inputs of
passes without gradients), the range of inputs, targets and outputs, constants, zeros, signs, whole
numbers up to 64, NaN and infinities. Rounding twice changes nothing.
"""

import re
from typing import Final

import numpy as np
import pyarrow as pa

from nntrace.schema import QUANTILES, STATISTICS, Role
from nntrace.trace.model import BoolArray, FloatArray, IntArray

# `nntrace diff` compares these, and looks at differences from a thousandth of a site's rms on:
# 12 significant bits have an error of at most 0.024 %.
_COMPARED: Final = {"mean": 12, "std": 12, "rms": 12}
_BITS: Final = 8  # the least for all others: an error of at most 0.4 %
_SHAPES: Final = {"skew": 6, "kurtosis": 6}  # 1.6 %; of 4096 Gaussian values they are off by 0.08
_ORDER_STATISTICS: Final = ("min", "max", *QUANTILES)
# A median is off by 2 % of the standard deviation. Quantiles and extremes keep 7 bits, an error of
# 0.8 %, and more where they are far from zero, until the error is 1/128 of the standard deviation.
_ORDER_BITS: Final = 7
_WITHIN_BITS: Final = 6
_MOST_BITS: Final = 24  # of a float32
_DURATIONS: Final = ("duration_ns", "data_wait_ns", "overhead_ns", "before_backward_ns", "cpu_ns")
_DURATION_BITS: Final = 10  # 0.1 %
_TIME_STEP_NS: Final = 1 << 10
# A pass without gradients records four sampled statistics of its inputs. Where each step has such a
# pass (reinforcement learning) their digits outweigh all other text. 255 and 65535 are kept.
_PASS: Final = "evaluation"
_PASS_DIGITS: Final = 5
_OF_INPUTS: Final = re.compile(
    r'("input_(?:mean|std|min|max)": )(-?[0-9]+(?:\.[0-9]+)?(?:e[-+]?[0-9]+)?)(?=[,}])'
)
_FILTER_BITS: Final = 8  # filters are shown as pictures, which have no more shades
# The range of inputs, targets and outputs (0 to 1, 0 to 255) is not an estimate.
_RANGE_ROLES: Final = (Role.INPUT.value, Role.TARGET.value, Role.OUTPUT.value)


def rounded(table: pa.Table, stream: str, sites: pa.Table) -> pa.Table:
    """The rows of one stream with all estimates rounded."""
    if stream == "stats":
        return _statistics(table, sites)
    if stream == "steps":
        for name in _DURATIONS:
            values = _floats(table, name)
            table = _replaced(table, name, to_bits(values, _DURATION_BITS))
        return _replaced(table, "time_ns", _steps_of_time(table))
    if stream == "events":
        return _events(_replaced(table, "time_ns", _steps_of_time(table)))
    return _filters(table) if stream == "tensors" else table


def to_bits(values: FloatArray, bits: int | FloatArray) -> FloatArray:
    """The nearest numbers with `bits` significant bits; non-finite values stay as they are."""
    _, exponent = np.frexp(values)
    shift = (bits - exponent).astype(np.int64)
    with np.errstate(all="ignore"):
        nearest: FloatArray = np.ldexp(np.rint(np.ldexp(values, shift)), -shift)
    return np.where(np.isfinite(values), nearest, values)


def _statistics(table: pa.Table, sites: pa.Table) -> pa.Table:
    outer = [
        number
        for number, role in zip(sites["id"].to_pylist(), sites["role"].to_pylist(), strict=True)
        if role in _RANGE_ROLES
    ]
    ranges = np.isin(table["site"].to_numpy(zero_copy_only=False), outer)
    std = to_bits(_floats(table, "std"), _COMPARED["std"])
    rms = to_bits(_floats(table, "rms"), _COMPARED["rms"])
    for name in STATISTICS:
        values = _floats(table, name)
        bits = _bits_of(name, values, std, rms)
        # No statistic of a constant is an estimate.
        kept = (std == 0) | ranges if name in ("min", "max") else std == 0
        table = _replaced(table, name, np.where(kept, values, to_bits(values, bits)))
    return table


def _bits_of(name: str, values: FloatArray, std: FloatArray, rms: FloatArray) -> int | FloatArray:
    """The number of significant bits to keep of each value."""
    if name == "mean":  # fewer where it is small beside the rms, so that both have the same error
        return np.clip(_COMPARED["mean"] - _log2_ratio(rms, values), _BITS, _COMPARED["mean"])
    if name in _ORDER_STATISTICS:
        return np.clip(_WITHIN_BITS + _log2_ratio(values, std) + 1, _ORDER_BITS, _MOST_BITS)
    return (_COMPARED | _SHAPES).get(name, _BITS)


def _log2_ratio(a: FloatArray, b: FloatArray) -> FloatArray:
    """How many powers of two a is larger than b; 0 where one of them is non-finite or zero."""
    whole = np.frexp(a)[1] - np.frexp(b)[1]
    known: BoolArray = np.isfinite(a) & np.isfinite(b) & (a != 0) & (b != 0)
    ratio: FloatArray = np.where(known, whole, 0).astype(np.float64)
    return ratio


def _steps_of_time(table: pa.Table) -> IntArray:
    """Times rounded to 1024 ns, in integers, because a float64 cannot hold nanoseconds."""
    column = table["time_ns"].combine_chunks()
    nanoseconds = column.fill_null(0).to_numpy(zero_copy_only=False)
    steps: IntArray = (nanoseconds + _TIME_STEP_NS // 2) // _TIME_STEP_NS
    return steps * _TIME_STEP_NS


def _events(table: pa.Table) -> pa.Table:
    """The events with fewer digits for the inputs of evaluation passes."""
    payload = [
        _OF_INPUTS.sub(_shorter, text) if kind == _PASS and text is not None else text
        for kind, text in zip(table["kind"].to_pylist(), table["payload"].to_pylist(), strict=True)
    ]
    index = table.schema.get_field_index("payload")
    field = table.schema.field(index)
    return table.set_column(index, field, pa.array(payload, field.type))


def _shorter(found: re.Match[str]) -> str:
    """A number in a JSON text with fewer digits, still written as a JSON float."""
    return f"{found[1]}{float(f'{float(found[2]):.{_PASS_DIGITS}g}')!r}"


def _filters(table: pa.Table) -> pa.Table:
    """The kept tensors with parameters rounded, as they are only looked at; batches are kept."""
    column = table["values"].combine_chunks()
    values = np.array(column.flatten().fill_null(np.nan), dtype=np.float64)
    lengths = column.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
    role = np.array(table["role"].to_pylist(), dtype=object)
    mine = np.repeat(role == Role.PARAM.value, lengths)
    values[mine] = to_bits(values[mine], _FILTER_BITS)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    lists = pa.ListArray.from_arrays(offsets, pa.array(values, type=pa.float64()))
    return table.set_column(table.schema.get_field_index("values"), "values", lists)


def _floats(table: pa.Table, name: str) -> FloatArray:
    column = table[name].cast(pa.float64(), safe=False).combine_chunks()
    return np.array(column.fill_null(np.nan), dtype=np.float64)


def _replaced(table: pa.Table, name: str, values: np.ndarray) -> pa.Table:
    """The table with a column's values replaced; nulls stay null.

    A value that overflows the column's type keeps its old value.
    """
    index = table.schema.get_field_index(name)
    column = table[name].combine_chunks()
    missing = np.array(column.is_null())
    kind = table.schema.field(name).type
    fits = np.where(missing, 0, values)
    with np.errstate(all="ignore"):
        array = fits.astype(np.asarray(pa.nulls(0, kind)).dtype)
    if pa.types.is_floating(kind):
        old = np.array(column.fill_null(np.nan), dtype=array.dtype)
        array = np.where(np.isinf(array) & ~np.isinf(old), old, array)
    return table.set_column(index, table.schema.field(name), pa.array(array, kind, mask=missing))
