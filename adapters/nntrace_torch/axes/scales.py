"""Scores of attention that are multiplied by the root of the width, and not divided by it."""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch

from nntrace_torch.axes.wrong_axes import FUSED, MOVES, SAME_PLACES
from nntrace_torch.program.graphs import constant_operand, nodes_of, operands, operation, saved

_DEEPEST = 12  # operations between a product and its softmax, or a layer
_CLOSE = 1e-3  # of a factor to the root
_LEAST = 4  # the width of a head from which on the root is not a factor like any other
_ALIKE = 0.02  # deviation of the lengths of normalised vectors, relative to their mean


class Enlarged(NamedTuple):
    """What scores were multiplied by, its square the width of queries and keys, and the node."""

    factor: float
    width: int
    node: Any


def enlarged_scores(loss: torch.Tensor) -> Iterator[Enlarged]:
    """Those in a graph whose backward pass is yet to come."""
    for node in nodes_of(loss.grad_fn):
        name = node.name()
        if name.startswith(FUSED):
            query, factor = saved(node, "query"), saved(node, "scale")
        elif name == "SoftmaxBackward0":
            factor, product = _factor(operands(node)[0])
            if product is None or operation(product) != "Bmm":
                continue
            query = saved(product, "self")
            for side in operands(product):
                factor *= _factor(side)[0]
        else:
            continue
        if isinstance(query, torch.Tensor) and isinstance(factor, float):
            width = query.shape[-1]
            is_root = abs(factor / math.sqrt(width) - 1.0) < _CLOSE
            if width >= _LEAST and is_root and not _are_normalised(query):
                yield Enlarged(factor, width, node)


def _factor(node: Any) -> tuple[float, Any]:
    """By what numbers a value was multiplied since it was computed, and by which node it was."""
    factor = 1.0
    for _ in range(_DEEPEST):
        if node is None or node.name() not in {*MOVES, *SAME_PLACES}:
            break
        number = constant_operand(node) if operation(node) in ("Mul", "Div") else None
        if isinstance(number, torch.Tensor) and number.numel() == 1 and number.is_cpu:
            value = float(number) or math.nan
            factor *= value if operation(node) == "Mul" else 1.0 / value
        node = next(filter(None, operands(node)), None)
    return factor, node


def _are_normalised(query: torch.Tensor) -> bool:
    """Whether all are of one length: cosines are small, and may be multiplied."""
    lengths = query.detach().float().norm(dim=-1)
    return float(lengths.std()) < _ALIKE * float(lengths.mean())
