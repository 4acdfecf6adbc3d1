"""The operands of an operation, and their shapes, dtypes and ranges.

Pure functions of tensors, called once per origin and never in the course of training.
"""

import math
from typing import Any, NamedTuple

import torch

from nntrace_torch.program.describe import dtype_name

_BITS = {torch.float32: torch.int32, torch.float64: torch.int64}
_COMPUTED_NANS = {
    torch.int32: (0x7FC00000, 0x7FFFFFFF),
    torch.int64: (0x7FF8000000000000, 0x7FFFFFFFFFFFFFFF),
}


def is_unwritten(tensor: torch.Tensor) -> bool:
    """Whether it looks like memory that the program has not written to (`torch.empty`).

    Bits that were no number make NaNs that no computation makes, and numbers next to zero.
    """
    bits = _BITS.get(tensor.dtype)
    if bits is None:
        return False
    nans = tensor[tensor.isnan()].view(bits) & torch.iinfo(bits).max
    usual = torch.isin(nans, torch.tensor(_COMPUTED_NANS[bits], device=nans.device))
    is_tiny = (tensor != 0.0) & (tensor.abs() < torch.finfo(tensor.dtype).tiny)
    return not bool(usual.all()) or bool(is_tiny.any())


class Operand(NamedTuple):
    """One tensor or number an operation received, by its name in the operation's schema."""

    name: str
    value: Any


class Operation(NamedTuple):
    """An executed operation."""

    name: str
    operands: tuple[Operand, ...]
    result: torch.Tensor

    def tensor(self, index: int) -> torch.Tensor | None:
        """The operand at an index, if it is a tensor."""
        value = self.operands[index].value if index < len(self.operands) else None
        return value if isinstance(value, torch.Tensor) else None

    def number(self, name: str) -> float | None:
        """The operand with this name, if it is a plain number."""
        for operand in self.operands:
            if operand.name == name and isinstance(operand.value, (int, float)):
                return float(operand.value)
        return None


def describe(operand: Operand) -> dict[str, Any]:
    """Shape, dtype and range of an operand; the range is that of its finite elements."""
    value = operand.value
    if not isinstance(value, torch.Tensor):
        shown = value if isinstance(value, (int, float, bool, str)) else str(value)
        return {"name": operand.name, "value": str(shown) if _is_special(shown) else shown}
    value = value.detach()
    facts: dict[str, Any] = {
        "name": operand.name,
        "shape": list(value.shape),
        "dtype": dtype_name(value),
    }
    if not value.is_floating_point() or not value.numel():
        return facts
    finite = value[torch.isfinite(value)]
    if finite.numel():
        facts["min"], facts["max"] = float(finite.min()), float(finite.max())
        facts["zeros"] = int((finite == 0).sum())
    facts["nan"], facts["inf"] = int(value.isnan().sum()), int(value.isinf().sum())
    return facts


def _is_special(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)
