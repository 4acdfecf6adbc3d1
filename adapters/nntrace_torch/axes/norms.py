"""Products of normalised vectors whose norms were taken over another axis than the product sums.

Cosines come out only where both are the same axis. `functional.normalize` takes axis 1 if it is not
told another, which of [batch, length, width] is the length.
"""

from typing import Any

from nntrace_torch.axes.softmaxes import WrongAxis, made_by, node_above
from nntrace_torch.program.graphs import operation, output_shape, saved, signed

_SUMMED = {"MmBackward0": (1, 0), "BmmBackward0": (2, 1)}  # axes of both operands
_STRETCHED = ("Expand", "ClampMin", "Clamp", "Add", "Unsqueeze", "Maximum")
_NORMS = ("LinalgVectorNorm", "Norm")
_DEEP = 5


def other_norms(node: Any) -> WrongAxis | None:
    """The first operand of a product of two normalised ones whose norm has another axis."""
    if node.name() not in _SUMMED or len(node.next_functions) != 2:
        return None
    found = [
        made_by(lambda made: _norm(made) is not None, side, output_shape(side, place), axis)
        for (side, place), axis in zip(node.next_functions, _SUMMED[node.name()], strict=True)
        if side is not None
    ]
    if len(found) < 2 or None in found:
        return None
    for made, shape, summed in (one for one in found if one is not None):
        norm = _norm(made)
        axes = [signed(axis) for axis in saved(norm, "dim") or ()]
        if len(axes) != 1 or axes[0] is None:
            return None
        axis = axes[0] % len(shape)
        if axis != summed and min(shape[axis], shape[summed]) > 1:
            return WrongAxis("norm", shape, axis, summed, (), norm)
    return None


def _norm(node: Any) -> Any:
    """The norm by which this node divides; None if it does not."""
    if operation(node) != "Div" or len(node.next_functions) != 2:
        return None
    below = node.next_functions[1][0]
    for _ in range(_DEEP):
        if below is None or operation(below) in _NORMS:
            return below
        if operation(below) not in _STRETCHED:
            return None
        below = node_above(below)
    return None
