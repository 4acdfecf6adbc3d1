"""How much of a tensor is kept as it is, the same for every framework: few, whole, bounded."""

import math
from dataclasses import dataclass
from typing import Final

MAX_EXAMPLES: Final = 16
MAX_ELEMENTS: Final = 1 << 19
_MAX_STRIDE: Final = 8
_GROWTH: Final = 1.5  # of the step between two records of the same tensor


@dataclass(frozen=True, slots=True)
class Extent:
    """The first `examples` of a batch; of images every `stride`-th row and column."""

    examples: int
    stride: int


def batch_extent(shape: tuple[int, ...], plane: tuple[int, int] = (-2, -1)) -> Extent | None:
    """What to keep of a batch [N, …] of one and more axes: at most 16 examples and 2¹⁹ elements.

    Of images with too many every n-th row and column, then fewer examples. None for what is too
    large even so, or empty.

    Args:
        shape: of the batch.
        plane: the axes of rows and columns, of batches with at least four axes.
    """

    def of_example(stride: int) -> int:
        sizes = list(shape)
        for axis in plane if len(shape) >= 4 else ():
            sizes[axis] = -(-sizes[axis] // stride)
        return math.prod(sizes[1:])

    examples, stride = min(shape[0], MAX_EXAMPLES), 1
    while len(shape) >= 4 and examples * of_example(stride) > MAX_ELEMENTS and stride < _MAX_STRIDE:
        stride += 1
    examples = min(examples, MAX_ELEMENTS // max(1, of_example(stride)))
    return Extent(examples, stride) if examples * of_example(stride) else None


def next_turn(step: int) -> float:
    """The step from which on a tensor kept at `step` is kept again: ever more rarely."""
    return max(step + 1.0, step * _GROWTH)
