"""Which of a model's arguments are inputs, and which are targets for its loss function.

Arguments are followed through one call. A tensor computed from an argument without parameters
still counts as that argument. Where it meets a parameter the argument is an input; where a loss
function takes it as its target, the argument is a target.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch.utils import _pytree as pytree

from nntrace_torch.loss.losses import LOSS_FUNCTIONS

INPUT, TARGET = "input", "target"
_LOOKS_UP = frozenset(("embedding", "embedding_bag", "one_hot"))
# Their results may take a size or a number of rows from an argument, but none of its data.
_MAKES = frozenset(
    (
        *("zeros", "ones", "empty", "full", "rand", "randn", "eye", "arange"),
        *("zeros_like", "ones_like", "empty_like", "full_like", "rand_like", "randn_like"),
        *("new_zeros", "new_ones", "new_empty", "new_full"),
    )
)
_MANY = 4096  # tensors followed in one call


class Roles:
    """Follows the argument tensors of one call; `of` gives the role of each leaf."""

    def __init__(self, leaves: Iterable[tuple[int, torch.Tensor]]) -> None:
        self._followed: dict[int, tuple[torch.Tensor, frozenset[int]]] = {
            id(tensor): (tensor, frozenset((place,))) for place, tensor in leaves
        }
        self._floating = {
            place
            for tensor, places in self._followed.values()
            for place in places
            if tensor.is_floating_point() or tensor.is_complex()
        }
        self._inputs: set[int] = set()
        self._targets: set[int] = set()

    def saw(self, name: str, args: Any, kwargs: Any, result: Any) -> None:
        """Note a function called inside the module, with its arguments and its result."""
        tensors = [t for t in pytree.tree_leaves((args, kwargs)) if isinstance(t, torch.Tensor)]
        met: frozenset[int] = frozenset().union(*(self._places(t) for t in tensors))
        if not met or name in _MAKES:
            return
        if name in LOSS_FUNCTIONS:
            target = args[1] if len(args) > 1 else kwargs.get("target")
            self._targets |= self._places(target)
            return
        if name in _LOOKS_UP or (name == "__getitem__" and tensors[0].requires_grad):
            self._inputs |= met
        elif any(tensor.requires_grad and tensor.is_leaf for tensor in tensors):
            self._inputs |= met & self._floating
        made = [t for t in pytree.tree_leaves(result) if isinstance(t, torch.Tensor)]
        for tensor in made:
            if tensor.requires_grad or len(self._followed) >= _MANY:
                continue
            self._followed[id(tensor)] = tensor, met
            if tensor.is_floating_point():
                self._floating |= met

    def of(self, place: int) -> str:
        """`input`, `target`, or "" for a leaf that is neither: a mask, a length, an index."""
        if place in self._targets:
            return TARGET
        return INPUT if place in self._inputs else ""

    def _places(self, tensor: Any) -> frozenset[int]:
        known = self._followed.get(id(tensor))
        return known[1] if known is not None and known[0] is tensor else frozenset()
