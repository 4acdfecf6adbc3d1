"""Does the output of an example depend on its place in the batch? (PRB03, ACT14)

It must not, unless the model keeps something of each place from call to call (the state of a
recurrence that goes on) or is given it beside the batch.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.utils import _pytree as pytree

from nntrace_torch.probes.dependencies import FOUND, Answer, Forward, changed
from nntrace_torch.program.module_tree import modules_of


def placed(
    forward: Forward, by_example: Callable[[torch.Tensor], torch.Tensor | None], examples: int
) -> Answer | None:
    """Move every example one place on, and see whether its output moves with it.

    None if it does, or if that says nothing: parts of the input or of the model belong to places
    of the batch, or the outputs are random.

    Args:
        forward: the call to replay; its examples lie along the first axis.
        by_example: an output as [examples, …]; None for one that is not by example.
        examples: the size of that axis.
    """
    if _is_given_by_place(forward, examples) or _is_kept(forward, examples):
        return None
    before = _rows(forward.outputs(), by_example)
    if _differ(before, _rows(forward.outputs(seed=1), by_example)):
        return None
    try:
        moved = _rows(forward.outputs(lambda _, t: _on(t, examples)), by_example)
    except Exception:  # the model's own: it takes its examples in one order only
        return None
    if not before or not _differ([out.roll(1, 0) for out in before], moved):
        return None
    return Answer(
        FOUND,
        f"moved by one place in its batch of {examples}, an example has another output",
        {"examples": examples, "by_place": True},
    )


def _is_given_by_place(forward: Forward, examples: int) -> bool:
    """Whether an argument belongs to the places of the batch and does not move with its examples.

    So does one that has them along another axis, or a state that the call before has computed.
    """
    moves = {place for place, _ in forward.data()}
    return any(
        examples in (leaf.shape[1:] if place in moves else leaf.shape)
        for place, leaf in enumerate(forward.leaves)
        if isinstance(leaf, torch.Tensor)
    )


def _on(tensor: torch.Tensor, examples: int) -> torch.Tensor:
    return tensor.roll(1, 0) if tensor.dim() and tensor.shape[0] == examples else tensor


def _rows(
    outputs: list[torch.Tensor], by_example: Callable[[torch.Tensor], torch.Tensor | None]
) -> list[torch.Tensor]:
    return [rows for out in outputs if (rows := by_example(out)) is not None]


def _differ(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
    if [out.shape for out in one] != [out.shape for out in other]:
        return True
    return any(bool(changed(a, b).any()) for a, b in zip(one, other, strict=True))


def _is_kept(forward: Forward, examples: int) -> bool:
    """Whether a call leaves something of its examples in the model, for the next call to find."""

    def read(call: Callable[..., Any], args: Any, kwargs: Any) -> bool:
        held = _held(forward.module)  # kept alive, so that no other tensor gets an id of theirs
        before = {id(tensor): tensor._version for tensor in held}
        call(*args, **kwargs)
        return any(
            examples in tensor.shape and before.get(id(tensor)) != tensor._version
            for tensor in _held(forward.module)
        )

    return forward.replay(read)


def _held(module: nn.Module) -> list[torch.Tensor]:
    """The tensors that parts of a model hold besides their parameters."""
    held = [
        [part._buffers, {k: v for k, v in vars(part).items() if k not in _OF_MODULES}]
        for part in modules_of(module)
    ]
    return [leaf for leaf in pytree.tree_leaves(held) if isinstance(leaf, torch.Tensor)]


_OF_MODULES = frozenset(vars(nn.Module()))
