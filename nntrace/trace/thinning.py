"""Keeps a growing stream within a bound, for readers that do not need every row.

Of the older samples every n-th is kept unchanged, where n grows with the run, so that rules see
what a sparser cadence would have recorded. For drawing, each stretch of older samples is also kept
as two rows per site, every statistic's least and greatest value: no spike is ever thinned out.
"""

from typing import Final

import numpy as np
import pyarrow as pa

from nntrace.sampling import LANDMARK_BITS
from nntrace.schema import STATISTICS
from nntrace.trace.model import BoolArray, FloatArray, IntArray

FIRST_SAMPLES: Final = 16  # kept whole, like the last ones and the landmarks
LAST_SAMPLES: Final = 64
LEAST_SAMPLES: Final = 128
_FOLDED: Final = 4  # samples in a stretch, at first; each stretch becomes two rows


def some_of(steps: IntArray, rows: IntArray, most: int) -> BoolArray:
    """A mask of the batches to keep of a run that is read at once, with about `most` rows.

    Args:
        steps: the first step of each batch; a recorder writes a sample as one batch.
        rows: the number of rows of each batch.
        most: the number of rows to keep; the first and the last batches are kept in any case.
    """
    samples, places = np.unique(steps, return_inverse=True)
    exempt = _are_exempt(steps, places, len(samples))
    if 2 * rows[exempt].sum() > most:  # large batches: exempt only the first and the last
        exempt = (places == 0) | (places == len(samples) - 1)
    every = 1
    while True:
        kept = exempt | (places % every == 0)
        if rows[kept].sum() <= max(most, rows[exempt].sum()):
            return np.asarray(kept)
        every *= 2


class Thinning:
    """Keeps one stream within a bound.

    Args:
        most_rows: the most rows to keep; a bound below `LEAST_SAMPLES` samples is raised to that.
        drawn: whether to keep the extremes of samples that are thinned out.

    Attributes:
        extremes: the rows to draw, once any were thinned out; else None.
        left_out: whether samples were thinned out.
    """

    def __init__(self, most_rows: int, *, drawn: bool) -> None:
        self.extremes: pa.Table | None = None
        self.left_out = False
        self._most_rows = most_rows
        self._drawn = drawn
        self._samples: IntArray = np.empty(0, dtype=np.int64)  # every step that had a row
        self._every = 1
        self._stretch = _FOLDED

    def take(self, kept: pa.Table, fresh: pa.Table) -> pa.Table:
        """The rows to keep, in order, of the rows kept before and the fresh ones."""
        rows = pa.concat_tables([kept, fresh])
        self._samples = np.union1d(self._samples, _steps(fresh))
        if self.extremes is not None:
            self.extremes = pa.concat_tables([self.extremes, fresh])
        per_sample = len(rows) / max(1, len(np.unique(_steps(rows))))
        most = max(self._most_rows, round(LEAST_SAMPLES * per_sample))
        if self._drawn and len(self.extremes or rows) > most:
            self.extremes = self._fold(self.extremes or rows, most)
        if len(rows) <= most:
            return rows
        self.left_out = True
        return self._sift(rows, most)

    def _sift(self, rows: pa.Table, most: int) -> pa.Table:
        """The rows of every n-th older sample and of exempt ones; n doubles until they fit."""
        places = np.searchsorted(self._samples, _steps(rows))
        exempt = _are_exempt(_steps(rows), places, len(self._samples))
        while True:
            kept = exempt | (places % self._every == 0)
            if kept.sum() <= max(most // 2, exempt.sum()):
                return rows.filter(pa.array(kept)).combine_chunks()
            self._every *= 2

    def _fold(self, rows: pa.Table, most: int) -> pa.Table:
        """Replace each stretch of older samples by two rows per site."""
        steps = _steps(rows)
        places = np.searchsorted(self._samples, steps)
        while True:
            end = (len(self._samples) - LAST_SAMPLES) // self._stretch * self._stretch
            older = (places >= FIRST_SAMPLES) & (places < end)
            stretches = places // self._stretch
            sites = np.asarray(rows["site"].to_numpy())
            order = np.flatnonzero(older)
            order = order[np.lexsort((sites[order], stretches[order]))]
            changes = (np.diff(stretches[order]) != 0) | (np.diff(sites[order]) != 0)
            starts = np.flatnonzero(np.concatenate([[len(order) > 0], changes]))
            size = len(rows) - len(order) + 2 * len(starts)
            if size <= max(most // 2, 4 * (len(rows) - len(order))) or not len(order):
                break
            self._stretch *= 2
        before, after = (
            rows.filter(pa.array(part))
            for part in (places < FIRST_SAMPLES, places >= max(end, FIRST_SAMPLES))
        )
        if not len(order):
            return rows.combine_chunks()
        first = self._samples[stretches[order[starts]] * self._stretch]
        last = self._samples[stretches[order[starts]] * self._stretch + self._stretch // 2]
        folded = _extremes(rows, order, starts, first, last)
        return pa.concat_tables([before, folded, after]).combine_chunks()


def _extremes(
    rows: pa.Table, order: IntArray, starts: IntArray, first: IntArray, last: IntArray
) -> pa.Table:
    """Two rows for each group of `order`: its least values at step `first`, its greatest at `last`.

    `starts` holds the beginnings of the groups in `order`.
    """
    steps = np.concatenate([first, last])
    by_step = np.argsort(steps, kind="stable")
    columns: dict[str, pa.Array] = {}
    for field in rows.schema:
        if field.name in STATISTICS:
            values = _floats(rows[field.name])[order]
            ends = [np.fmin.reduceat(values, starts), np.fmax.reduceat(values, starts)]
            column = np.concatenate(ends)[by_step]
            columns[field.name] = pa.array(column, field.type, mask=np.isnan(column))
        elif field.name == "step":
            columns["step"] = pa.array(steps[by_step], field.type)
        else:
            values = rows[field.name].take(pa.array(order[starts]))
            columns[field.name] = pa.concat_arrays([*values.chunks, *values.chunks]).take(
                pa.array(by_step)
            )
    return pa.table(columns, schema=rows.schema)


def _are_exempt(steps: IntArray, places: IntArray, samples: int) -> BoolArray:
    """A mask of the rows that are always kept: the first and the last samples, and landmarks."""
    ends = (places < FIRST_SAMPLES) | (places >= samples - LAST_SAMPLES)
    return np.asarray(ends | _are_landmarks(steps))


def _are_landmarks(steps: IntArray) -> BoolArray:
    """A mask of the steps that every rank samples, so that ranks can be compared."""
    bits = np.frexp(np.maximum(steps, 0).astype(np.float64))[1]
    spacing = np.left_shift(1, np.maximum(0, bits - LANDMARK_BITS))
    return np.asarray(steps % spacing == 0)


def _steps(rows: pa.Table) -> IntArray:
    return np.asarray(rows["step"].to_numpy())


def _floats(column: pa.ChunkedArray) -> FloatArray:
    return np.asarray(column.fill_null(float("nan")).to_numpy())
