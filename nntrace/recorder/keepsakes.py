"""How much of a tensor's values is kept: a few whole examples, bounded, alike in all frameworks."""

import math
from dataclasses import dataclass
from typing import Final

MAX_EXAMPLES: Final = 16
MAX_ELEMENTS: Final = 1 << 19
_MAX_STRIDE: Final = 8
_GROWTH: Final = 1.5  # of the step number from one record of a tensor to the next


@dataclass(frozen=True, slots=True)
class Extent:
    """The first `examples` of a batch; of images, only every `stride`-th row and column."""

    examples: int
    stride: int


def batch_extent(shape: tuple[int, ...], plane: tuple[int, int] = (-2, -1)) -> Extent | None:
    """The part of a batch [N, …] to keep: at most 16 examples and 2¹⁹ elements.

    Images that exceed this are thinned to every n-th row and column first, then to fewer examples.
    None for a batch that is empty, or too large even so.

    Args:
        shape: the shape of the batch, of at least one axis.
        plane: the axes of rows and columns; used for batches of at least four axes.
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
    """The step from which a tensor last kept at `step` is kept again: ever more rarely."""
    return max(step + 1.0, step * _GROWTH)
