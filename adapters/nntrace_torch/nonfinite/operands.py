"""The operands of an operation, and their shapes, dtypes and ranges.

Pure functions of tensors, called once per origin and never in the course of training.
"""

import math
from typing import Any, NamedTuple

import torch

from nntrace_torch.program.describe import dtype_name


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
