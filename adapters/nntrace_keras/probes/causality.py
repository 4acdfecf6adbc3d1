"""Does an output of a Keras model know what it is to predict? (PRB04, and LOS20 in training)"""

from collections.abc import Callable, Sequence

import numpy as np

from nntrace_keras.probes.answers import Answer, Array, answer, changed

_SHORTEST = 4  # positions
_ALIKE = 0.95  # the share of elements that are the same


def causality(
    inputs: list[Array], targets: list[Array], outputs: Callable[[list[Array]], list[Array]]
) -> Answer:
    """Change what comes after the middle of a sequence, and look for the target in the input."""
    if not targets:
        return answer("unknown", "there are no targets beside the inputs")
    target = targets[0]
    for place, given in enumerate(inputs):
        column = _column(given, target)
        if column is not None:
            text = f"column {column} of the input is the target"
            return answer("found", text, column=column)
        if ahead(given, target) != 1:
            continue
        exchanged, middle = with_another_future(inputs, place)
        for before, later in zip(outputs(inputs), outputs(exchanged), strict=True):
            first = first_to_change(before, later, given, middle)
            if first is not None:
                text = (
                    f"the output at position {first} depends on inputs after position "
                    f"{middle}, and the target is the next input"
                )
                return answer("found", text, position=first, depends_on_after=middle)
        return answer("clean", f"the output at position {middle} depends on no later input")
    return answer("unknown", "the targets are not the next inputs: there is no future to see")


def predicts_next(inputs: Sequence[Array], target: Array) -> int | None:
    """The place of the one input whose next positions are the target.

    None if another input may know them, too, as a copying decoder's source does.
    """
    related = _related(inputs, target)
    return related[0][0] if [by for _, by in related] == [1] else None


def is_given_beside(inputs: Sequence[Array], target: Array) -> int | None:
    """The place of the one input behind the first that is the target, place by place, as a decoder
    is given it that shifts it inside; None where another input tells the target.
    """
    related = _related(inputs, target)
    return related[0][0] if [by for _, by in related] == [0] and related[0][0] > 0 else None


def _related(inputs: Sequence[Array], target: Array) -> list[tuple[int, int]]:
    """The inputs that hold the target, each with by how many positions it is ahead of them."""
    found = ((n, ahead(given, target)) for n, given in enumerate(inputs))
    return [(n, by) for n, by in found if by is not None]


def ahead(given: Array, target: Array) -> int | None:
    """By how many positions the target is ahead of an input: 1 or 0; None if they are unrelated."""
    if given.ndim < 2 or given.shape[1] < _SHORTEST or target.shape[:2] != given.shape[:2]:
        return None
    if target.size != given.size:
        return None
    wanted = target.reshape(given.shape)
    if _alike(given[:, 1:], wanted[:, :-1]):
        return 1
    return 0 if _alike(given, wanted) else None


def with_another_future(inputs: Sequence[Array], place: int) -> tuple[list[Array], int]:
    """The inputs with another example's positions after the middle, and the middle's position."""
    given = inputs[place]
    middle = given.shape[1] // 2
    other = given.copy()
    other[:, middle + 1 :] = np.roll(given, 1, axis=0)[:, middle + 1 :]
    return [other if n == place else part for n, part in enumerate(inputs)], middle


def first_to_change(before: Array, later: Array, given: Array, middle: int) -> int | None:
    """The first position up to the middle whose output changed.

    None if none has, or if the output has no part for each position.
    """
    if before.shape[:2] != given.shape[:2]:
        return None
    early = changed(before, later).reshape(*given.shape[:2], -1)[:, : middle + 1]
    positions = np.unique(np.nonzero(early)[1])
    return int(positions[0]) if len(positions) else None


def _column(given: Array, target: Array) -> int | None:
    flat = target.reshape(len(target), -1)
    if given.ndim != 2 or flat.shape[1] != 1 or len(given) < 8 or np.ptp(flat) == 0:
        return None
    same = np.flatnonzero((given == flat).all(0))
    return int(same[0]) if len(same) else None


def _alike(given: Array, wanted: Array) -> bool:
    return bool(len(np.unique(wanted)) > 1 and (given == wanted).mean() >= _ALIKE)
