"""Gives calls of the model that replayed statements make the arguments they had in the step.

`net(torch.randn(8, 3))` would see other data than in the step. Such a call gets its earlier
arguments, as far as the statements do not compute them themselves, and its random state.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import _disable_current_modes

from nntrace_torch.replay.call import Call
from nntrace_torch.replay.engine import copies, original_of, set_random_states
from nntrace_torch.replay.guard import WriteGuard


class Repeats:
    """The calls of a step, each of which is repeated once at most.

    Args:
        calls: the calls, oldest first.
        guard: the replay's guard, which is told of copies.
    """

    def __init__(self, calls: Sequence[Call], guard: WriteGuard) -> None:
        self._waiting = list(calls)
        self._guard = guard

    def given(self, module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """The arguments to call a module with; sets the random state of the call, too."""
        if not self._waiting:
            return args
        with _disable_current_modes():
            mine = [call for call in self._waiting if original_of(call.compute) is module]
            same = next((call for call in mine if _pairs(args, call.args, torch.equal)), None)
            call = same or next((c for c in mine if _pairs(args, c.args, _is_alike)), None)
            if call is None:
                return args
            self._waiting.remove(call)
            if call.random is not None:
                set_random_states(call.random, call.devices)
            return args if same is not None else self._of_then(args, call.args)

    def _of_then(self, args: tuple[Any, ...], kept: tuple[Any, ...]) -> tuple[Any, ...]:
        leaves, form = pytree.tree_flatten(args)
        made = [
            copies(then, self._guard) if _is_given(now) and _is_given(then) else now
            for now, then in zip(leaves, pytree.tree_leaves(kept), strict=True)
        ]
        return tuple(pytree.tree_unflatten(made, form))


def _is_given(value: Any) -> bool:
    """Whether it is data: a tensor that does not require a gradient."""
    return isinstance(value, torch.Tensor) and not value.requires_grad


def _is_alike(one: torch.Tensor, other: torch.Tensor) -> bool:
    return one.shape == other.shape and one.dtype == other.dtype


def _pairs(args: Any, kept: Any, are_same: Any) -> bool:
    """Whether two sets of arguments have the same structure and their tensors match in pairs."""
    (one, form), (other, then) = pytree.tree_flatten(args), pytree.tree_flatten(kept)
    return form == then and all(
        are_same(a, b)
        for a, b in zip(one, other, strict=True)
        if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor)
    )
