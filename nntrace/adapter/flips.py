"""Measures how well the mirror-symmetric part of masks is predicted, and how well the rest.

Any mask is the sum of an even part, which a mirror leaves as it is, and an odd part, whose sign it
changes. Where images are flipped without their masks, or masks without their images, a model can
still learn the even part, but not the odd one, which comes with either sign equally often.
Otherwise both are learned alike, because a place left of the middle is as hard as any.
"""

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

FEWEST_EXAMPLES: Final = 4  # whose mean mask is taken off
MOST_EXAMPLES: Final = 16
SHORTEST_SIDE: Final = 8  # in pixels
LONGEST_SIDE: Final = 64  # of a larger mask every second, third, … row or column is read
MOST_ELEMENTS: Final = 1 << 18
_NEGLIGIBLE: Final = 1e-6  # of the energy of all masks: what rounding leaves of a part


class Products(NamedTuple):
    """Sums over all elements of products of centred predictions p and masks m.

    Both lack their means over the examples, and then over each image: a mean mask, or how large
    an object is, can be predicted wherever the object lies.

    Attributes:
        both: p · m.
        predicted: p · p.
        wanted: m · m.
    """

    both: float
    predicted: float
    wanted: float


def is_readable(rows: int, columns: int, channels: int) -> bool:
    """Whether masks of this size are looked at."""
    per_example = min(rows, LONGEST_SIDE) * min(columns, LONGEST_SIDE) * channels
    return min(rows, columns) >= SHORTEST_SIDE and per_example * MOST_EXAMPLES <= MOST_ELEMENTS


def places_read(side: int) -> list[int]:
    """The rows or columns that are read of `side`; a mirror exchanges them, within a pixel."""
    kept = min(side, LONGEST_SIDE)
    return [(2 * place + 1) * side // (2 * kept) for place in range(kept)]


def flip_facts(
    plain: Sequence[float], height: Sequence[float], width: Sequence[float]
) -> dict[str, float]:
    """How predictions follow the even and the odd part of masks, under a mirror of each axis.

    Args:
        plain: the `Products` of predictions and masks.
        height: those of mirrored and plain ones, upside down.
        width: the same, left and right exchanged.

    Returns:
        For `height` and `width` each: `…_alike`, the correlation of the even parts; `…_even` and
        `…_odd`, the slopes of the predicted parts over the wanted ones, 1 where they are reached
        and 0 where there is no such part; and `…_share`, that of the odd part in the energy of
        the masks. Nothing where a product is not finite, or all masks are alike.
    """
    straight = Products(*plain)
    if not straight.wanted or not all(map(math.isfinite, (*plain, *height, *width))):
        return {}
    facts = {}
    for name, products in (("height", height), ("width", width)):
        mirrored = Products(*products)
        even, odd = (
            Products(*((s + sign * m) / 2 for s, m in zip(straight, mirrored, strict=True)))
            for sign in (1, -1)
        )
        least = _NEGLIGIBLE * straight.wanted
        facts[f"{name}_alike"] = _correlation(even) if even.wanted > least else 0.0
        facts[f"{name}_even"] = even.both / even.wanted if even.wanted > least else 0.0
        facts[f"{name}_odd"] = odd.both / odd.wanted if odd.wanted > least else 0.0
        facts[f"{name}_share"] = odd.wanted / straight.wanted
    return {name: round(value, 4) for name, value in facts.items()}


def _correlation(part: Products) -> float:
    energy = part.predicted * part.wanted
    return part.both / math.sqrt(energy) if energy > 0.0 else 0.0
