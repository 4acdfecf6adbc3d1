"""The values a `Trace` returns: plain frozen dataclasses of names, numbers and NumPy arrays.

Sites and batches are the classes by which the recorder writes them: `nntrace.rows`.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from nntrace.rows import Batch as Batch
from nntrace.rows import Site as Site

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Steps:
    """The optimizer steps as columns, all of length n; NaN where a value was not recorded.

    `skipped` steps changed nothing, because a loss scaler found non-finite gradients.
    """

    step: IntArray
    time_ns: IntArray
    duration_ns: IntArray
    data_wait_ns: FloatArray
    loss: FloatArray
    lr: FloatArray
    grad_norm: FloatArray
    batch_size: FloatArray
    optimizer: tuple[str, ...]
    phase: tuple[str, ...]
    sampled: BoolArray
    overhead_ns: IntArray
    gradients_cleared: FloatArray
    before_backward_ns: FloatArray
    backwards: FloatArray
    skipped: BoolArray
    loss_scale: FloatArray
    memory_bytes: FloatArray
    cpu_ns: FloatArray
    clip_norm: FloatArray
    clip_limit: FloatArray
    gradient_cosine: FloatArray
    update_cosine: FloatArray

    def __len__(self) -> int:
        return len(self.step)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened once; `payload` is the decoded JSON object."""

    step: int
    time_ns: int
    kind: str
    severity: str
    site: int | None = None
    payload: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor whose values were kept, whole or thinned: one row of `tensors`.

    `shape` and `dtype` are the whole tensor's; `values` holds every `stride`-th element of its last
    two axes, and the first few of its first axis.
    """

    step: int
    role: str
    path: str
    shape: tuple[int, ...]
    dtype: str
    stride: int
    values: FloatArray
