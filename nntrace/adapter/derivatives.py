"""Checks gradients against finite differences.

The comparison is made along random directions, in float64. Where two step sizes disagree, the
direction crosses a kink and decides nothing. A gradient counts as wrong when it is wrong along
every direction.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

P = TypeVar("P")

_DIRECTIONS = 3
STEP = 1e-6  # relative to the magnitude of the moved values, which counts as at least 1
WIDE_STEP = 10 * STEP
_TOLERANCE = 1e-3  # of the larger of the two slopes
_KINK = 1e-3  # the share of a slope by which two step sizes may disagree


class Slopes(NamedTuple):
    """Slopes along one direction: by the gradient, and by differences at `STEP` and `WIDE_STEP`."""

    by_backward: float
    narrow: float
    wide: float


@dataclass(frozen=True, slots=True)
class Wrong(Generic[P]):
    """A part whose gradient is wrong: its slopes by either method along the first direction."""

    part: P
    by_backward: float
    by_differences: float

    @property
    def factor(self) -> float:
        """The gradient's slope as a multiple of the true one."""
        return self.by_backward / self.by_differences if self.by_differences else float("inf")

    @property
    def evidence(self) -> dict[str, float]:
        """The numbers that a probe's answer holds."""
        return {
            "backward": self.by_backward,
            "differences": self.by_differences,
            "factor": self.factor,
        }


@dataclass(frozen=True, slots=True)
class Comparison(Generic[P]):
    """The result of a comparison.

    Attributes:
        outputs: the outputs whose gradients were compared.
        wrong: the parts whose gradient is wrong along every direction.
        is_constant: whether moving any part left the outputs unchanged.
        tried: the number of directions, over all parts, that crossed no kink.
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
        outputs: the outputs, handed on in the result.
        parts: what the gradients belong to; each is moved by itself.
        measure: returns, for a part, a function that measures the slopes along a new random
            direction at each call.
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
