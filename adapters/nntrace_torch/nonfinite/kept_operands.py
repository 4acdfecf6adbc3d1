"""Walks the autograd graph of a value for the operation whose result was not finite.

For values whose code cannot be run again: the graph keeps the operands of many operations. They
are computed once more, in the order in which the program executed them.
"""

import re
from collections.abc import Callable
from typing import Any

import torch

from nntrace_torch.nonfinite.explanations import explain
from nntrace_torch.nonfinite.finder import Origin, first_bad
from nntrace_torch.nonfinite.operands import Operand, Operation, describe
from nntrace_torch.program.graphs import nodes_of


def broken_node(value: torch.Tensor) -> Origin | None:
    """The first operation in the graph of a value that makes a non-finite result of finite ones."""
    nodes = sorted(_nodes(value.grad_fn), key=lambda node: int(node._sequence_nr()))
    for node in nodes:
        name = re.sub(r"Backward\d*$", "", node.name())
        compute = _AGAIN.get(name)
        if compute is None:
            continue
        try:
            with torch.no_grad():
                operands, result = compute(node)
        except (AttributeError, RuntimeError, TypeError):  # freed, or not kept in this case
            continue
        broken = not bool(torch.isfinite(result).all())
        if broken and all(_is_finite(operand.value) for operand in operands):
            return _origin(name.lower(), operands, result)
    return None


def _origin(op: str, operands: tuple[Operand, ...], result: torch.Tensor) -> Origin:
    bad = int((~torch.isfinite(result)).sum())
    return Origin(
        op=op,
        kind="nan" if bool(result.isnan().any()) else "inf",
        what=explain(Operation(op, operands, result))
        if operands
        else f"{bad} of {result.numel()} results",
        index=first_bad(result),
        operands=tuple(describe(operand) for operand in operands),
    )


def _nodes(root: Any) -> list[Any]:
    """The nodes of a graph that come from operations, each once."""
    nodes = nodes_of(root)
    return [node for node in nodes if node.name() != "torch::autograd::AccumulateGrad"]


def _is_finite(value: Any) -> bool:
    return not isinstance(value, torch.Tensor) or bool(torch.isfinite(value).all())


def _saved(node: Any, name: str) -> Any:
    value = getattr(node, f"_saved_{name}")
    if type(value).__name__ == "DTensor":
        raise TypeError("computing with a tensor spread over ranks needs the other ranks")
    return value.detach() if isinstance(value, torch.Tensor) else value


Again = Callable[[Any], tuple[tuple[Operand, ...], torch.Tensor]]


def _unary(function: Callable[[torch.Tensor], torch.Tensor]) -> Again:
    """Of an operation that keeps its argument."""

    def again(node: Any) -> tuple[tuple[Operand, ...], torch.Tensor]:
        value = _saved(node, "self")
        return (Operand("self", value),), function(value)

    return again


def _kept(node: Any) -> tuple[tuple[Operand, ...], torch.Tensor]:
    """Of one that keeps its result alone: an infinity is its own, a NaN may have come in."""
    result = _saved(node, "result")
    if bool(result.isnan().any()):
        raise TypeError("its argument was not kept")
    return (), result


def _division(node: Any) -> tuple[tuple[Operand, ...], torch.Tensor]:
    divisor = _saved(node, "other")
    above = _saved(node, "self") if _saved(node, "self") is not None else torch.ones_like(divisor)
    return (Operand("self", above), Operand("other", divisor)), above / divisor


def _product(node: Any) -> tuple[tuple[Operand, ...], torch.Tensor]:
    one, other = _saved(node, "self"), _saved(node, "other")
    if one is None or other is None:  # kept where the other needs a gradient
        raise AttributeError
    return (Operand("self", one), Operand("other", other)), one * other


def _power(node: Any) -> tuple[tuple[Operand, ...], torch.Tensor]:
    base, exponent = _saved(node, "self"), _saved(node, "exponent")
    return (Operand("self", base), Operand("exponent", exponent)), base**exponent


def _spread(node: Any) -> tuple[tuple[Operand, ...], torch.Tensor]:
    value = _saved(node, "self")
    options = {
        "dim": node._saved_dim,
        "correction": node._saved_correction,
        "keepdim": node._saved_keepdim,
    }
    function = torch.std if node.name().startswith("Std") else torch.var
    return (Operand("self", value),), function(value, **options)


# By the name of the derivative, without `Backward`.
_AGAIN: dict[str, Again] = {
    "Div": _division,
    "Log": _unary(torch.log),
    "Log2": _unary(torch.log2),
    "Log10": _unary(torch.log10),
    "Log1P": _unary(torch.log1p),
    "Acos": _unary(torch.acos),
    "Asin": _unary(torch.asin),
    "Atanh": _unary(torch.atanh),
    "Cosh": _unary(torch.cosh),
    "Sinh": _unary(torch.sinh),
    "Pow": _power,
    "Mul": _product,
    "Var": _spread,
    "Std": _spread,
    "Rsqrt": _kept,
    "Exp": _kept,
    "Expm1": _kept,
    "Reciprocal": _kept,
}
