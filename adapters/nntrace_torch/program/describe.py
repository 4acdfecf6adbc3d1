"""Describes modules and parameters in the schema's terms: fans, ranges, unit axes, type names."""

import math
import sys
from typing import Any

import torch
from torch import nn

from nntrace.adapter import described
from nntrace_torch.program.module_tree import parameters_of
from nntrace_torch.program.sources import Source

_RANGES: dict[type[nn.Module], tuple[float, float]] = {
    nn.Sigmoid: (0.0, 1.0),
    nn.Hardsigmoid: (0.0, 1.0),
    nn.Tanh: (-1.0, 1.0),
    nn.Softsign: (-1.0, 1.0),
    nn.RNN: (-1.0, 1.0),
}
_LAST_AXIS = (nn.Linear, nn.LayerNorm, nn.Embedding, nn.MultiheadAttention, nn.RNNBase)
_CHANNELS_FIRST = (
    nn.modules.conv._ConvNd,
    nn.modules.batchnorm._NormBase,
    nn.modules.pooling._MaxPoolNd,
    nn.modules.pooling._AvgPoolNd,
    nn.modules.pooling._AdaptiveAvgPoolNd,
    nn.modules.pooling._AdaptiveMaxPoolNd,
    nn.GroupNorm,
)


def dtype_name(tensor: torch.Tensor) -> str:
    """`float32` for `torch.float32`."""
    return str(tensor.dtype).removeprefix("torch.")


def class_name(module: nn.Module) -> str:
    """The name of a module's class as its author wrote it: FSDP shards modules by subclassing."""
    kind = type(module)
    is_made = len(kind.__bases__) == 2 and kind.__bases__[0].__name__ == "FSDPModule"
    return kind.__bases__[1].__name__ if is_made else kind.__name__


def tensor_fields(tensor: torch.Tensor, source: Source) -> dict[str, Any]:
    """The columns of `sites` that every tensor has."""
    return {
        "shape": tuple(tensor.shape),
        "dtype": dtype_name(tensor),
        "numel": tensor.numel(),
        **source.place,
    }


def value_range(module: nn.Module) -> dict[str, float]:
    """The columns `range_low` and `range_high` of a bounded activation function's output."""
    description = described(module)
    if description is not None:
        return description.value_range(module)
    if isinstance(module, nn.Hardtanh) and not isinstance(module, nn.ReLU6):
        return {"range_low": float(module.min_val), "range_high": float(module.max_val)}
    bounds = _RANGES.get(type(module))
    if bounds is None or getattr(module, "nonlinearity", "tanh") != "tanh":
        return {}
    return {"range_low": bounds[0], "range_high": bounds[1]}


def dropout_rate(module: nn.Module) -> dict[str, float]:
    """The column `dropout_rate` of a dropout layer."""
    description = described(module)
    if description is not None:
        return description.dropout_rate(module)
    rate = module.p if isinstance(module, nn.modules.dropout._DropoutNd) else None
    return {"dropout_rate": float(rate)} if isinstance(rate, (int, float)) else {}


def fans(parameter: torch.Tensor, owner: nn.Module | None) -> dict[str, int]:
    """`fan_in` and `fan_out` of a weight [out, in, *kernel], as `torch.nn.init` counts them.

    With them comes `unit_axis` 0: filters lie along the first axis. Empty where the orientation is
    not known: embeddings, transposed convolutions, parameters of modules that are not PyTorch's.
    """
    description = None if owner is None else described(owner)
    if description is not None:
        return description.fans(tuple(parameter.shape), owner)
    known = (nn.Linear, nn.Bilinear, nn.RNNBase, nn.RNNCellBase, nn.MultiheadAttention)
    is_conv = isinstance(owner, nn.modules.conv._ConvNd) and not owner.transposed
    if parameter.dim() < 2 or not (is_conv or isinstance(owner, known)):
        return {}
    kernel = math.prod(parameter.shape[2:])
    return {
        "fan_in": parameter.shape[1] * kernel,
        "fan_out": parameter.shape[0] * kernel,
        "unit_axis": 0,
    }


def enclosing(path: str, module: nn.Module | None) -> str:
    """The path without its last name."""
    is_described = module is not None and described(module) is not None
    return path.rpartition("/" if is_described else ".")[0]


def named_unit_axis(module: nn.Module, output: torch.Tensor) -> dict[str, int]:
    """The column `unit_axis`, where it is not PyTorch's."""
    description = described(module)
    if description is None or output.dim() < 2:
        return {}
    return {"unit_axis": description.unit_axis(module) % output.dim()}


def unit_axis(module: nn.Module, output: torch.Tensor, before: tuple[int, int] | None) -> int:
    """The axis of channels or features in a module's output.

    Args:
        module: the module that made it.
        output: the output, at least one-dimensional.
        before: number of axes and unit axis of the output recorded before this one. A module whose
            type does not say where its units are (an activation function, dropout, a container)
            leaves them where they were.
    """
    description = described(module)
    if description is not None:
        return description.unit_axis(module)
    if isinstance(module, _LAST_AXIS):
        return -1
    if isinstance(module, _CHANNELS_FIRST):
        return 1 if output.dim() > 1 else 0
    if before is not None and before[0] == output.dim():
        return before[1]
    return 1 if output.dim() >= 4 else -1


def hides_inside(module: nn.Module) -> str | None:
    """What keeps hooks from a module's inside, as `TorchScript`; None if nothing does."""
    if isinstance(module, torch.jit.ScriptModule):
        return "TorchScript"
    graph_module = sys.modules.get("torch.fx.graph_module")
    if graph_module is None or not isinstance(module, graph_module.GraphModule):
        return None
    called = [module.get_submodule(n.target) for n in module.graph.nodes if n.op == "call_module"]
    layers = any(next(parameters_of(part), None) is not None for part in called)
    return None if layers else "a graph module (torch.export)"
