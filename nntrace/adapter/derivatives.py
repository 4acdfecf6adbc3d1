"""Is a gradient the derivative of what was computed? What its comparison with differences says.

Along random directions, in float64. Directions along which two step sizes disagree cross a kink
and decide nothing; a gradient is wrong that is wrong along every direction.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

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
class Verdict:
    """What came of one gradient.

    Attributes:
        wrong: along the first direction, if it is wrong along every one.
        is_constant: whether what was moved changed nothing.
        tried: directions that decided something.
    """

    wrong: Slopes | None
    is_constant: bool
    tried: int


def factor(by_backward: float, by_differences: float) -> float:
    """How many times the derivative the gradient is."""
    return by_backward / by_differences if by_differences else float("inf")


def judge(measure: Callable[[], Slopes]) -> Verdict:
    """Compare a gradient with differences; `measure` draws a direction each time."""
    bad, tried, is_constant = [], 0, True
    for _ in range(_DIRECTIONS):
        slopes = measure()
        largest = max(abs(slopes.by_backward), abs(slopes.narrow), 1e-8)
        is_constant = is_constant and slopes.narrow == 0.0
        if abs(slopes.wide - slopes.narrow) > _KINK * largest and slopes.narrow != 0.0:
            continue  # a kink lies between: no derivative to compare with
        tried += 1
        if abs(slopes.by_backward - slopes.narrow) > _TOLERANCE * largest:
            bad.append(slopes)
    return Verdict(bad[0] if len(bad) == _DIRECTIONS else None, is_constant, tried)
