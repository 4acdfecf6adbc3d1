"""Is a gradient the derivative of what was computed? What its comparison with differences says.

Along random directions, in float64. Directions along which two step sizes disagree cross a kink
and decide nothing; a gradient is wrong that is wrong along every direction.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

P = TypeVar("P")

_DIRECTIONS = 3
STEP = 1e-6  # of the size of what is moved, and at least of 1
WIDE_STEP = 10 * STEP
_TOLERANCE = 1e-3  # of the larger one
_KINK = 1e-3  # by how much differences of two step sizes may disagree


class Slopes(NamedTuple):
    """Along one direction: what the gradient says, and differences at `STEP` and `WIDE_STEP`."""

    by_backward: float
    narrow: float
    wide: float


@dataclass(frozen=True, slots=True)
class Wrong(Generic[P]):
    """The gradient of a part that is not the derivative, along the first direction."""

    part: P
    by_backward: float
    by_differences: float

    @property
    def factor(self) -> float:
        """How many times the derivative the gradient is."""
        return self.by_backward / self.by_differences if self.by_differences else float("inf")


@dataclass(frozen=True, slots=True)
class Comparison(Generic[P]):
    """What came of it.

    Attributes:
        outputs: what was computed.
        wrong: one for each part whose gradient is wrong along every direction.
        is_constant: whether no part changed the outputs.
        tried: directions that decided something.
    """

    outputs: tuple[Any, ...]
    wrong: tuple[Wrong[P], ...]
    is_constant: bool
    tried: int


def compared(
    outputs: tuple[Any, ...], parts: Iterable[P], measure: Callable[[P], Callable[[], Slopes]]
) -> Comparison[P]:
    """Compare gradients with differences, part by part.

    Args:
        outputs: what was computed.
        parts: whose gradient is meant, each moved by itself.
        measure: for a part, what draws a direction and measures along it, each time it is called.
    """
    wrong: list[Wrong[P]] = []
    is_constant, tried = True, 0
    for part in parts:
        along, bad = measure(part), []
        for _ in range(_DIRECTIONS):
            slopes = along()
            largest = max(abs(slopes.by_backward), abs(slopes.narrow), 1e-8)
            is_constant = is_constant and slopes.narrow == 0.0
            if abs(slopes.wide - slopes.narrow) > _KINK * largest and slopes.narrow != 0.0:
                continue  # a kink lies between: no derivative to compare with
            tried += 1
            if abs(slopes.by_backward - slopes.narrow) > _TOLERANCE * largest:
                bad.append(slopes)
        if len(bad) == _DIRECTIONS:
            wrong.append(Wrong(part, bad[0].by_backward, bad[0].narrow))
    return Comparison(outputs, tuple(wrong), is_constant, tried)
