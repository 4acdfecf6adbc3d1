"""Rounds off the meaningless last bits of statistics, which take a third of their bytes.

The shape of a distribution is known to a few per cent from a sample of it: 17 significant bits,
an error below 1e-5, are plenty. Moments, by which runs are compared, stay whole.
"""

from typing import Final

import numpy as np

from nntrace.recorder.sample import Float32Array
from nntrace.schema import QUANTILES

_SHAPES: Final = ("skew", "kurtosis", "example_std", "effective_rank")
_DROPPED_BITS: Final = 7  # of the 24 of a float32


def shorten(columns: dict[str, Float32Array]) -> None:
    """Round the columns of `stats` that describe a shape; quantiles stay within their range."""
    for name in (*QUANTILES, *_SHAPES):
        columns[name] = _rounded(columns[name])
    for name in QUANTILES:
        columns[name] = np.clip(columns[name], columns["min"], columns["max"])


def _rounded(values: Float32Array) -> Float32Array:
    """The nearest numbers with 17 significant bits; non-finite values stay as they are."""
    half = np.uint32(1 << (_DROPPED_BITS - 1))
    kept = np.uint32(0xFFFFFFFF << _DROPPED_BITS & 0xFFFFFFFF)
    nearest = ((values.view(np.uint32) + half) & kept).view(np.float32)
    return np.where(np.isfinite(values) & np.isfinite(nearest), nearest, values)
