"""Copies the arguments of a call, and puts them in the place of another call's arguments.

Tensors that carry a gradient are computed by the program and are never exchanged.
"""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.utils.rnn import PackedSequence
from torch.utils import _pytree as pytree

KEPT = object()  # stands for a leaf that is left as it is


@dataclass(frozen=True, slots=True)
class Taken:
    """A copy of the arguments of a call."""

    leaves: tuple[Any, ...]
    form: Any

    def fits(self, form: Any, leaves: list[Any]) -> bool:
        """Whether other arguments have the same structure, with tensors in the same places."""
        return bool(self.form == form) and all(
            isinstance(mine, torch.Tensor) == isinstance(other, torch.Tensor)
            for mine, other in zip(self.leaves, leaves, strict=True)
            if mine is not KEPT
        )


def take(arguments: Any) -> Taken:
    """Copy the arguments, except tensors that carry a gradient."""
    leaves, form = pytree.tree_flatten(arguments)
    return Taken(tuple(_copied(leaf) for leaf in leaves), form)


def put(taken: Taken, arguments: Any) -> Any | None:
    """The arguments with `taken` in their place; None when their structure differs."""
    leaves, form = pytree.tree_flatten(arguments)
    if not taken.fits(form, leaves):
        return None
    exchanged = [_in_place_of(mine, leaf) for mine, leaf in zip(taken.leaves, leaves, strict=True)]
    return pytree.tree_unflatten(exchanged, form)


def exchange(arguments: Any, change: Callable[[int, torch.Tensor], torch.Tensor]) -> Any:
    """The arguments with every tensor that carries no gradient replaced by `change(place, it)`."""
    leaves, form = pytree.tree_flatten(arguments)
    changed = [
        change(place, leaf) if is_foreign(leaf) else leaf for place, leaf in enumerate(leaves)
    ]
    return pytree.tree_unflatten(changed, form)


def foreign_tensors(arguments: Any) -> Iterator[tuple[int, torch.Tensor]]:
    """The tensors that carry no gradient, with their places among the leaves."""
    for place, leaf in enumerate(pytree.tree_leaves(arguments)):
        if is_foreign(leaf):
            yield place, leaf


def is_foreign(leaf: Any) -> bool:
    """Whether a leaf is data: a tensor that carries no gradient."""
    return isinstance(leaf, torch.Tensor) and not leaf.requires_grad


def is_packed(arguments: Any) -> bool:
    """Whether an argument is a packed sequence, whose rows are not examples."""
    found = pytree.tree_leaves(arguments, is_leaf=lambda item: isinstance(item, PackedSequence))
    return any(isinstance(leaf, PackedSequence) for leaf in found)


def _copied(leaf: Any) -> Any:
    if isinstance(leaf, torch.Tensor):
        return KEPT if leaf.requires_grad else leaf.detach().clone()
    if leaf is None or isinstance(leaf, bool | int | float | str | bytes):
        return leaf
    try:
        return copy.deepcopy(leaf)
    except Exception:  # a lock, a generator: whatever it is, it is no example
        return KEPT


def _in_place_of(mine: Any, leaf: Any) -> Any:
    if mine is KEPT or (isinstance(leaf, torch.Tensor) and leaf.requires_grad):
        return leaf
    if not isinstance(mine, torch.Tensor):
        return _copied(mine)
    # A last, smaller batch: the program has counted its examples and must find as many.
    shorter = mine.dim() and leaf.shape[1:] == mine.shape[1:] and leaf.shape[0] < mine.shape[0]
    return (mine[: leaf.shape[0]] if shorter else mine).clone()
