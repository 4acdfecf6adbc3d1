"""Walks an autograd graph: its nodes, the leaves it was computed from, what a node saved.

Nothing read here is kept.
"""

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch


def nodes_of(
    *roots: Any,
    most: int = 20_000,
    nearest_first: bool = False,
    beyond: Callable[[Any], bool] | None = None,
) -> Iterator[Any]:
    """The nodes of an autograd graph from these on, each once.

    Args:
        roots: where to begin; None is left out.
        most: how many nodes are visited.
        nearest_first: in the order of their distance, not along one path after the other.
        beyond: whether to go on from a node to its operands; always, if not given.
    """
    seen: set[Any] = set()
    waiting = deque(roots)
    while waiting and len(seen) < most:
        node = waiting.popleft() if nearest_first else waiting.pop()
        if node is not None and node not in seen:
            seen.add(node)
            yield node
            if beyond is None or beyond(node):
                waiting.extend(operands(node))


def leaves_of(*values: torch.Tensor, most: int = 20_000) -> list[torch.Tensor]:
    """The tensors from which values were computed and in which gradients are accumulated."""
    return list(_leaves(nodes_of(*(value.grad_fn for value in values), most=most)))


def nearest_leaf(root: Any, most: int = 256) -> torch.Tensor | None:
    """The leaf with the fewest operations between it and a node; None if all are farther."""
    return next(_leaves(nodes_of(root, most=most, nearest_first=True)), None)


def _leaves(nodes: Iterable[Any]) -> Iterator[torch.Tensor]:
    found = (getattr(node, "variable", None) for node in nodes)
    return (leaf for leaf in found if isinstance(leaf, torch.Tensor))


def operands(node: Any) -> tuple[Any, ...]:
    """The nodes that computed a node's operands; None for an operand without a gradient."""
    return next(zip(*node.next_functions, strict=True), ())  # without a function for each


def constant_operand(node: Any) -> Any:
    """What a product or quotient was given without a gradient; None unless that is one operand."""
    sides = operands(node)
    if len(sides) - sides.count(None) != 1:
        return None
    return saved(node, "self" if sides[0] is None else "other")


def operation(node: Any) -> str:
    """`Addmm` for `AddmmBackward0`."""
    return re.sub(r"Backward\d*$", "", str(node.name()).rpartition("::")[2])


def output_shape(node: Any, place: int = 0) -> tuple[int, ...] | None:
    """The shape of a node's output."""
    try:
        return tuple(int(size) for size in node._input_metadata[place].shape)
    except (AttributeError, IndexError, TypeError, RuntimeError):
        return None


def saved(node: Any, name: str) -> Any:
    """The value a node saved for its backward under a name, or None."""
    try:
        return getattr(node, f"_saved_{name}", None)
    except RuntimeError:  # freed: the graph was walked already
        return None


def signed(value: Any) -> int | None:
    """An axis: PyTorch shows a negative one as 2⁶⁴ less."""
    if not isinstance(value, int):
        return None
    return value - (1 << 64) if value >= 1 << 63 else value
