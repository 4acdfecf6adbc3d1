"""The sites of tensors with a batch axis, of any backend."""

from typing import Any

from nntrace.schema import Role
from nntrace_keras.program.describe import dropout_rate, dtype_name, rank_of, unit_axis, value_range
from nntrace_keras.program.sources import Source
from nntrace_keras.samples.sites import SiteKey
from nntrace_keras.tape.under_tape import LayerCall


def tensor_site(
    path: str,
    role: Role,
    module_type: str,
    tensor: Any,
    source: Source,
    *,
    parent: str = "",
    axis: int = -1,
    facts: dict[str, Any] | None = None,
) -> SiteKey:
    """The site of a tensor whose first axis is the batch."""
    rank = rank_of(tensor)
    return SiteKey(
        path,
        role,
        module_type=module_type,
        parent=parent,
        dtype=dtype_name(tensor),
        file=source.file,
        line=source.line,
        width=int(tensor.shape[axis] or 1) if rank > 1 else 1,
        facts=tuple((facts or {}).items()),
    )


def channels(axis: int, tensor: Any) -> dict[str, int]:
    """The column `unit_axis` of an output; without it PyTorch's convention would be assumed."""
    rank = rank_of(tensor)
    return {"unit_axis": axis % rank} if rank > 1 else {}


def activation_site(call: LayerCall, role: Role, source: Source) -> SiteKey:
    """The site of a layer's output, or of its gradient."""
    layer, axis = call.layer, unit_axis(call.layer)
    facts: dict[str, Any] = channels(axis, call.output)
    if role is Role.ACTIVATION:
        facts = {**value_range(layer), **facts, **dropout_rate(layer)}
    kind = type(layer).__name__
    return tensor_site(
        call.path, role, kind, call.output, source, parent=call.parent, axis=axis, facts=facts
    )
