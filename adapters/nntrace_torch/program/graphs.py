"""Walks an autograd graph: its nodes, the leaves it was computed from, what a node saved.

Nothing read here is kept.
"""

import re
from collections import deque
from collections.abc import Iterator
from typing import Any

import torch


def nodes_of(*roots: Any, most: int = 20_000) -> Iterator[Any]:
    """The nodes of an autograd graph from these on, each once; at most `most` of them."""
    seen: set[Any] = set()
    waiting = list(roots)
    while waiting and len(seen) < most:
        node = waiting.pop()
        if node is not None and node not in seen:
            seen.add(node)
            yield node
            waiting += [above for above, _ in node.next_functions]


def leaves_of(*values: torch.Tensor, most: int = 20_000) -> list[torch.Tensor]:
    """The tensors from which values were computed and in which gradients are accumulated."""
    nodes = nodes_of(*(value.grad_fn for value in values), most=most)
    found = (getattr(node, "variable", None) for node in nodes)
    return [leaf for leaf in found if isinstance(leaf, torch.Tensor)]


def nearest_leaf(root: Any, most: int = 256) -> torch.Tensor | None:
    """The leaf with the fewest operations between it and a node; None if all are farther."""
    seen: set[Any] = set()
    waiting = deque([root])
    while waiting and len(seen) < most:
        node = waiting.popleft()
        if node is None or node in seen:
            continue
        seen.add(node)
        leaf = getattr(node, "variable", None)
        if isinstance(leaf, torch.Tensor):
            return leaf
        waiting.extend(above for above, _ in node.next_functions)
    return None


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
