"""Whether the inputs of the kept examples hold their target: in a column, by class, or as ids.

Only what cannot be chance counts: a task may be easy, and its features may tell the classes apart
well without being the answer.
"""

import math
from collections.abc import Iterable
from typing import Final, NamedTuple

import numpy as np

from nntrace.rules.common.signals import finite
from nntrace.schema import Role
from nntrace.trace import Batch, Trace
from nntrace.trace.model import FloatArray, Tensor

_EQUAL: Final = 1e-3  # of a column's range: the most by which values of one class may differ
_COPIES: Final = 0.9999  # correlation of a column with the target
_MOST_CHANCE: Final = 0.01  # of a column that tells the classes apart, over all columns
_LEAST: Final = 8  # examples beyond the first of each class, or of a number: fewer are chance
_STEPS_AND_FEATURES: Final = 2  # axes of an example that is a window over a series

_ROW: Final = 16  # equal ids in a row, with this many different ones: no chance
_VARIED: Final = 4


class Leak(NamedTuple):
    """Where the inputs hold their target.

    Attributes:
        where: in words, such as "column 3 of input.0, counted from 0".
        is_window: whether that is the last step of a window over a series.
        is_plain: whether it is one of those, or a column of rows: nothing that is to be remembered.
    """

    where: str
    is_window: bool
    is_plain: bool


def column_of_target(trace: Trace) -> Leak | None:
    """Which columns of which input give the target of the kept examples away; None where none
    does, or too few examples were kept to tell.
    """
    targets = [tensor for tensor in trace.tensors if tensor.role == Role.TARGET]
    for given in trace.tensors:
        if given.role != Role.INPUT:
            continue
        for target in targets:
            if found := _telling(given, target):
                return _leak(given, found)
    return None


def _leak(given: Tensor, columns: list[int]) -> Leak:
    """In words, which columns of the examples, their other axes laid flat."""
    axes = given.values.shape[1:]
    is_window = len(axes) == _STEPS_AND_FEATURES and min(columns) >= (axes[0] - 1) * axes[1]
    if is_window:
        return Leak(f"the last of the {axes[0]} steps of {given.path}", True, True)
    places = ", ".join(str(column) for column in columns[:4])
    where = f"column{'s' * (len(columns) > 1)} {places} of {given.path}, counted from 0"
    return Leak(where, False, len(axes) == 1)


def same_ids(trace: Trace, batches: Iterable[Batch]) -> Tensor | None:
    """The model's first input, or a further one, if its ids are the targets, place by place.

    The kept examples must show this for more ids than chance explains. For the first input, the
    statistics of all batches must agree, too. A further input may be a decoder's, for example; one
    that is the first input shifted by a place is left out, as a model that computes its own loss
    takes the next ids for it.
    """
    known = [batch for batch in batches if batch.target_mean is not None]
    alike = all(
        (batch.input_mean, batch.input_std) == (batch.target_mean, batch.target_std)
        and batch.input_integer_valued
        for batch in known
    )
    inputs = [tensor for tensor in trace.tensors if tensor.role == Role.INPUT]
    targets = [tensor for tensor in trace.tensors if tensor.role == Role.TARGET]
    for number, given in enumerate(inputs if known else ()):
        told = any(t.step == given.step and _is_beginning(t, given) for t in targets)
        if told and (alike or number) and not (number and _follows(given, inputs[0])):
            return given
    return None


def is_further_input(trace: Trace, given: Tensor) -> bool:
    """Whether it is not the model's first input, but what a decoder is given, for example.

    A decoder that shifts it inside learns to predict it from what the encoder has read.
    """
    return given.path != next(t.path for t in trace.tensors if t.role == Role.INPUT)


def keeps_places(trace: Trace, given: Tensor) -> bool:
    """Whether every layer's output has a place for each id of an example.

    Then nothing has to be put into fewer numbers, as in an autoencoder.
    """
    places = given.shape[-1]
    return all(
        places in site.shape or site.shape[:1] == (given.shape[0] * places,)
        for site in trace.sites_of(Role.ACTIVATION)
    )


def _is_beginning(target: Tensor, given: Tensor) -> bool:
    """Whether the targets, flattened as some loss functions want them, are the first input ids."""
    if len(given.shape) != 2 or (target.stride, given.stride) != (1, 1):
        return False
    if target.shape not in (given.shape, (given.shape[0] * given.shape[1],)):
        return False
    answer, ids = target.values.ravel(), given.values.ravel()
    enough = len(ids) >= len(answer) >= _ROW and len(np.unique(answer)) >= _VARIED
    return enough and np.array_equal(answer, ids[: len(answer)])


def _follows(given: Tensor, first: Tensor) -> bool:
    """Whether `given` holds at each place the id that `first` holds at the next one.

    Negative ids are left out: they mark places that no loss is computed for.
    """
    if given.shape != first.shape or first.stride != 1 or given.step != first.step:
        return False
    if given.values.shape != first.values.shape or given.values.ndim != 2:
        return False
    following, asked = first.values[:, 1:], given.values[:, :-1]
    counted = asked >= 0
    return bool(counted.any()) and np.array_equal(asked[counted], following[counted])


def _telling(given: Tensor, target: Tensor) -> list[int]:
    """The columns of the examples, with their other axes flattened, that give the target away."""
    if given.stride != 1 or not given.values.ndim > 1 or given.step != target.step:
        return []
    if not given.values.size or not target.values.size:
        return []
    columns = given.values.reshape(len(given.values), -1)
    answer = _answer(target)
    if len(answer) != len(columns) or columns.shape[1] < 2 or len(finite(answer)) < len(answer):
        return []
    usable = np.isfinite(columns).all(axis=0) & (np.ptp(columns, axis=0) > 0)
    values, numbers = np.unique(answer, return_inverse=True)
    if 1 < len(values) <= len(answer) - _LEAST:
        return _constant_within(columns, numbers, usable)
    are_numbers = len(values) > len(answer) / 2 > _LEAST / 2
    return _proportional(columns, answer, usable) if are_numbers else []


def _answer(target: Tensor) -> FloatArray:
    """One number per example: its value, or the class of its one-hot row; empty for other rows."""
    rows = target.values.reshape(len(target.values), -1) if target.values.ndim else np.empty((0, 1))
    if rows.shape[1] <= 1:
        return rows.reshape(-1)
    is_one_hot = np.isin(rows, (0.0, 1.0)).all() and (rows.sum(axis=1) == 1.0).all()
    return rows.argmax(axis=1).astype(np.float64) if is_one_hot else np.empty(0)


def _constant_within(columns: FloatArray, numbers: np.ndarray, usable: np.ndarray) -> list[int]:
    """The column that has another value for each class, or the columns that are its one-hot row.

    Many columns that each belong to one class or another are not it: of the words of a text there
    are always some that only a few kept examples have.
    """
    sizes = np.bincount(numbers)
    first = np.array([columns[numbers == number][0] for number in range(len(sizes))])
    differs = np.abs(columns - first[numbers]).max(axis=0)
    found = np.flatnonzero(usable & (differs <= _EQUAL * np.ptp(columns, axis=0)))
    apart = np.diff(np.sort(first[:, found], axis=0), axis=0).min(axis=0)
    alone = found[apart > _EQUAL * np.ptp(columns[:, found], axis=0)]
    if len(alone):
        chance = int(usable.sum()) * _by_chance(sizes)
        return alone.tolist() if chance < _MOST_CHANCE else []
    return _one_hot(found, first > first.min(axis=0), np.cumsum(usable))


def _by_chance(sizes: np.ndarray) -> float:
    """How likely a column with as many values as there are classes falls into them by chance."""
    ways = math.lgamma(sizes.sum() + 1) - sum(math.lgamma(size + 1) for size in sizes)
    return math.exp(math.lgamma(len(sizes) + 1) - ways)


def _one_hot(found: np.ndarray, marks: np.ndarray, place: np.ndarray) -> list[int]:
    """Columns in a row, each of which marks one class that no other one does.

    Args:
        found: the columns with one value per class.
        marks: whether the value of a class is more than the least [classes, columns].
        place: of each column among those that vary: a class may be missing in the kept examples.
    """
    wanted = len(marks)
    of_one = [int(column) for column in found if marks[:, column].sum() == 1]
    for begin in range(len(of_one) - wanted + 1):
        row = of_one[begin : begin + wanted]
        if place[row[-1]] - place[row[0]] == wanted - 1 and marks[:, row].any(axis=1).all():
            return row
    return []


def _proportional(columns: FloatArray, answer: FloatArray, usable: np.ndarray) -> list[int]:
    """The columns that are the target but for an offset and a factor."""
    centred, goal = columns - columns.mean(axis=0), answer - answer.mean()
    with np.errstate(divide="ignore", invalid="ignore"):
        size = np.sqrt((centred**2).sum(axis=0) * (goal**2).sum())
        alike = np.abs(goal @ centred) / size
    return [int(column) for column in np.flatnonzero(usable & (alike > _COPIES))]
