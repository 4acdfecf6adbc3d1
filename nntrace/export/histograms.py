"""Turns a trace's sparse histograms, on signed powers of two, into bins without gaps."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from nntrace.export.scalars import tag
from nntrace.trace import Trace
from nntrace.trace.model import FloatArray


@dataclass(frozen=True, slots=True)
class Bins:
    """A histogram with at least one value.

    Attributes:
        bounds: [n + 1], the bounds of the bins, ascending.
        counts: [n], the count of each bin; 0 for bins that fill gaps between recorded ones.
        middles, weights: the middle and the count of each recorded bin.
    """

    bounds: list[float]
    counts: list[float]
    middles: FloatArray
    weights: FloatArray


def histograms(trace: Trace) -> Iterator[tuple[int, str, Bins]]:
    """The step, name (`activation/conv1`) and bins of each recorded histogram of one rank."""
    names = {site.id: f"{site.role.value}/{tag(site.path)}" for site in trace.sites}
    for batch in trace.table("histograms").to_batches():
        for row in batch.to_pylist():
            bins = as_bins(row["edges"] or (), row["counts"] or ())
            if row["site"] in names and bins is not None:
                yield row["step"], names[row["site"]], bins


def as_bins(edges: Any, counts: Any) -> Bins | None:
    """The bins of one sparse histogram, each from its edge to twice that.

    Non-finite values are left out. None where nothing else was counted.
    """
    finite = [
        (edge, count)
        for edge, count in zip(edges, counts, strict=False)
        if edge is not None and count and np.isfinite(edge)
    ]
    if not finite:
        return None
    bounds: list[float] = []
    numbers: list[float] = []
    for edge, count in finite:
        low, high = (edge, 2 * edge) if edge > 0 else (2 * edge, edge)
        if edge == 0:
            low, high = -np.finfo(np.float32).tiny, np.finfo(np.float32).tiny
        if not bounds:
            bounds.append(float(low))
        elif bounds[-1] < low:
            bounds.append(float(low))
            numbers.append(0.0)
        bounds.append(float(high))
        numbers.append(float(count))
    middles = np.array([1.5 * edge for edge, _ in finite])
    weights = np.array([count for _, count in finite], dtype=float)
    return Bins(bounds, numbers, middles, weights)
