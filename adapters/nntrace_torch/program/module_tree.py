"""The parts, parameters and buffers of a module, as PyTorch's own fields hold them.

Methods that a model's class may override (`modules`, `named_parameters`, `__eq__`) are not asked:
they may return a list, those of one part, or ask for an argument.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn


def named_modules_of(module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The module and each part of it once, after its path, from the root inward."""
    return _modules(module, "", {})


def modules_of(module: nn.Module) -> Iterator[nn.Module]:
    """The module and each part of it once, from the root inward."""
    return (part for _, part in named_modules_of(module))


def named_parameters_of(module: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """Each parameter once, after its path."""
    return _held(module, "_parameters")


def parameters_of(module: nn.Module) -> Iterator[nn.Parameter]:
    """Each parameter once."""
    return (parameter for _, parameter in named_parameters_of(module))


def named_buffers_of(module: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """Each buffer once, after its path."""
    return _held(module, "_buffers")


def buffers_of(module: nn.Module) -> Iterator[torch.Tensor]:
    """Each buffer once."""
    return (buffer for _, buffer in named_buffers_of(module))


def parameter_at(module: nn.Module, path: str) -> nn.Parameter | None:
    """The parameter at a path, also where another path leads to it, too; None if there is none."""
    *inward, name = path.split(".")
    for own in inward:
        part = module._modules.get(own)
        if part is None:
            return None
        module = part
    return module._parameters.get(name)


def _modules(
    module: nn.Module, path: str, seen: dict[int, nn.Module]
) -> Iterator[tuple[str, nn.Module]]:
    if id(module) in seen:
        return
    seen[id(module)] = module
    yield path, module
    for name, part in module._modules.items():
        if part is not None:
            yield from _modules(part, f"{path}.{name}" if path else name, seen)


def _held(module: nn.Module, field: str) -> Iterator[tuple[str, Any]]:
    seen: dict[int, torch.Tensor] = {}  # keeps them: those of a compiled script are made each time
    for path, part in named_modules_of(module):
        for name, tensor in getattr(part, field).items():
            if tensor is not None and id(tensor) not in seen:
                seen[id(tensor)] = tensor
                yield f"{path}.{name}" if path else name, tensor
