"""What is said of a value that is not finite: its range, and why, by the operands; any backend."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

_LARGE = 0.4  # an operand above the largest number to this power may make a result overflow


class Range(NamedTuple):
    """The range of a tensor's finite elements, and whether it holds others.

    `first` is the index of the first non-finite element in the flattened tensor.
    """

    low: float
    high: float
    nan: bool
    inf: bool
    first: int = 0

    @property
    def is_finite(self) -> bool:
        """Whether every element is a number."""
        return not (self.nan or self.inf)


class Made(Protocol):
    """An operation that gave something non-finite.

    Attributes:
        given: the numbers of what was non-finite among its operands, and how: "nan" or "inf".
        operands: all of them that are numbers of the program's, with their ranges.
    """

    @property
    def given(self) -> Mapping[int, str]:
        """As above."""

    @property
    def operands(self) -> Sequence[tuple[Any, Range]]:
        """As above."""


M = TypeVar("M", bound=Made)


def origin_of(broken: Mapping[int, str], made: Mapping[int, M]) -> M | None:
    """The operation that gave the first value that made what is `broken` non-finite.

    A NaN is followed to where it was made, then an infinity that it was made of: that is the more
    likely one, unless the program wrote it itself, as in a mask.

    Args:
        broken: numbers of values, and how they are not finite.
        made: by the number of what they gave, in the order in which they ran.
    """
    starts = [number for number, kind in broken.items() if kind == "nan"]
    made_nan = _first(starts, made, ("nan",))
    if made_nan is not None:
        starts = [number for number, kind in made_nan.given.items() if kind == "inf"]
    made_infinity = _first(starts if made_nan is not None else list(broken), made, ("nan", "inf"))
    return made_infinity or made_nan


def _first(starts: Sequence[int], made: Mapping[int, M], bad: Sequence[str]) -> M | None:
    """The first operation, upstream of these values, that is bad and has no bad operands.

    An operation without operands does not count: an infinity that the program wrote itself, as in a
    mask, is not its fault.
    """
    waiting, seen = list(starts), set()
    while waiting:
        number = waiting.pop()
        if number in made and number not in seen:
            seen.add(number)
            waiting += [other for other, kind in made[number].given.items() if kind in bad]
    for number, one in made.items():
        if number in seen and one.operands and not set(one.given.values()) & set(bad):
            return one
    return None


def operand(name: str, shape: Sequence[int | None], dtype: str, found: Range) -> dict[str, Any]:
    """What an origin says of one operand; -1 for a size that is not known."""
    sizes = [-1 if size is None else int(size) for size in shape]
    return {"name": name, "shape": sizes, "dtype": dtype, "min": found.low, "max": found.high}


def why(name: str, dtype: str, limit: float, operands: Sequence[Range]) -> str:
    """Why an operation's result is not finite, by its operands.

    Args:
        name: what the rules call the operation.
        dtype: of the result.
        limit: the largest number that it holds.
        operands: their ranges.
    """
    known = [found for found in operands if found.low <= found.high]
    sizes = [max(abs(found.low), abs(found.high)) for found in known]
    if name == "div" and operands and operands[-1].low <= 0.0 <= operands[-1].high:
        return "the divisor holds 0"
    if name in ("log", "sqrt", "rsqrt", "log1p") and operands:
        edge = -1.0 if name == "log1p" else 0.0
        if operands[0].low < edge:
            return f"an operand is {operands[0].low:.6g}"
        if operands[0].low == edge:
            return f"an operand is {edge:.6g}"
    if name == "exp" and sizes and max(sizes) > math.log(limit):
        return f"the result exceeds {dtype} ({limit:.5g}); operands reach {sizes[0]:.4g}"
    if name == "to_copy" and sizes:
        return f"{sizes[0]:.6g} does not fit {dtype} (at most {limit:.5g})"
    if sizes and max(sizes) > limit**_LARGE:
        shown = ", ".join(f"{size:.4g}" for size in sizes)
        return f"the result exceeds {dtype} ({limit:.5g}); operands reach {shown}"
    between = ", ".join(f"[{found.low:.4g}, {found.high:.4g}]" for found in known)
    if not all(found.is_finite for found in operands):
        return f"an operand holds infinities beside {between}" if between else "of infinities"
    return f"its operands are finite, within {between}" if between else "its operands are finite"
