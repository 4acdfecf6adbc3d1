"""What an adapter hands over for a sampled step: NumPy arrays and plain numbers, no tensors."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from nntrace.schema import Role

Float32Array = npt.NDArray[np.float32]


class Layout(NamedTuple):
    """How a site's values are ordered: examples × positions × units, units fastest.

    Parameters have no examples: (1, 1, n) with `per_unit` False, and no per-unit facts.
    """

    examples: int
    positions: int
    units: int
    per_unit: bool = True

    @property
    def size(self) -> int:
        """The number of values."""
        return self.examples * self.positions * self.units


RUN: Final = 8  # neighbours of a parameter that are sampled together: half a line of a cache
_MET_EVENLY: Final = (1, 2, 3, 4, RUN)  # periods whose places one run meets about equally often


def fixed_runs(shape: tuple[int, ...], limit: int) -> tuple[int, int]:
    """How a parameter too large to take whole is sampled: the number of runs, and their distance.

    A run is `RUN` neighbours in memory, and lies in one line of a cache if the tensor begins with
    one: what a sample costs is the number of lines it touches. The common factor of the distance
    and the length of an axis, or the number of a kernel's places, is so small that a single run
    covers it, so that no row or column is favoured. The distance is rounded up, never down, so that
    the runs reach the tensor's end. With the number of elements that it chose as `limit` it chooses
    the same ones.

    Args:
        shape: of more than `limit` elements.
        limit: the most elements to take; one run at least.
    """
    places = math.prod(shape) // RUN
    distance = -(-places // max(limit // RUN, 1))
    periods = (*shape, math.prod(shape[2:]))
    while not all(math.gcd(distance * RUN, period) in _MET_EVENLY for period in periods):
        distance += 1
    return -(-places // distance), distance * RUN


NO_SITE: Final = -1
NO_TENSOR: Final = Layout(0, 0, 0, per_unit=False)


class SiteSample(NamedTuple):
    """The sampled elements of one site: `values[offset : offset + layout.size]` of its sample.

    A size of 0 records that the site was looked at and had no tensor.
    """

    site: int
    offset: int
    layout: Layout


@dataclass(frozen=True, slots=True)
class BatchSample:
    """The batch of a sampled step, as far as the adapter saw it.

    Attributes:
        step: the optimizer step the batch was for.
        phase: `train` or `eval`.
        batch_size: examples in the batch.
        epoch: the pass over the loader that it came from; None when no loader delivered it.
        example_hashes: int64 [examples], equal for identical examples.
        inputs: float32 sampled elements of the first input.
        targets: float32 sampled elements of the loss function's targets.
        labels: whether the targets are integers, such as class labels.
        ignored: the label that the loss function was told to leave out.
        class_labels: int64, the labels that other targets stand for, such as one-hot rows.
        predictions: float32 [rows, classes], rows of the predictions the loss function received.
        classes: the width of the predictions' class axis.
        loss_function: its name.
        loss_path: of the sites of its targets and predictions, where that is not its name.
        loss_value: what it returned, when that was one number.
        input_features: the width of `inputs` where its last axis is features, as in a table.
        delivered: minimum and maximum of the tensors a loader delivered, at most a few.
        term_names: the summands of what was differentiated.
        terms: float32 [terms], their values, weights included.
        clamped: the share of per-example losses that a clamp cut off.
    """

    step: int
    phase: str
    batch_size: int | None = None
    epoch: int | None = None
    example_hashes: npt.NDArray[np.int64] | None = None
    inputs: Float32Array | None = None
    targets: Float32Array | None = None
    labels: bool = False
    ignored: int | None = None
    class_labels: npt.NDArray[np.int64] | None = None
    predictions: Float32Array | None = None
    classes: int | None = None
    loss_function: str | None = None
    loss_path: str | None = None
    loss_value: float | None = None
    input_features: int | None = None
    delivered: tuple[tuple[float, float], ...] | None = None
    term_names: tuple[str, ...] | None = None
    terms: Float32Array | None = None
    clamped: float | None = None


@dataclass(frozen=True, slots=True)
class KeptTensor:
    """A tensor, or an even part of it, kept as it was: the first batch, the first layer's filters.

    Attributes:
        role: `input`, `target` or `param`.
        path: the name of the site it belongs to.
        shape: of the whole tensor.
        dtype: of the whole tensor, in the framework's words without a prefix.
        values: what is kept, on the host, in any real type.
        stride: every how many of the last two axes' elements are kept.
    """

    role: Role
    path: str
    shape: tuple[int, ...]
    dtype: str
    values: npt.NDArray[Any]
    stride: int = 1


@dataclass(frozen=True, slots=True)
class Sample:
    """One sampled step: float32 `values` [n] on the host and which part belongs to which site.

    Attributes:
        further_losses: what the other loss functions of the step were given, without the input.
        squares: by site, the sums of squares of gradients whose samples do not stand for all
            elements: of a sparse gradient only the rows that were touched are sampled.
    """

    step: int
    values: Float32Array
    sites: tuple[SiteSample, ...]
    batch: BatchSample | None = None
    tensors: tuple[KeptTensor, ...] = ()
    further_losses: tuple[BatchSample, ...] = ()
    squares: Mapping[int, float] = field(default_factory=dict)
