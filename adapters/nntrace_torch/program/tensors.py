"""Which tensors are sampled, and where they lie: ordinary ones of real numbers."""

from typing import Any, TypeGuard

import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence

from nntrace_torch.program.containers import named_parts

_REAL = frozenset(
    {
        torch.float32,
        torch.float64,
        torch.float16,
        torch.bfloat16,
        torch.int64,
        torch.int32,
        torch.int16,
        torch.int8,
        torch.uint8,
        torch.bool,
    }
)


def can_sample(value: object) -> TypeGuard[torch.Tensor]:
    """Whether it is an ordinary dense tensor of real numbers with at least one element.

    A tensor inside a transform of `torch.func` is not: it stands for many. Called for every tensor
    of a sampled step, so the cheapest tests come first.
    """
    # isinstance() of an abstract Parameter would run Python code.
    if type(value) is not torch.Tensor and type(value) is not nn.Parameter:
        return False
    return (
        value.dtype in _REAL
        and value.layout is torch.strided
        and not value.is_nested
        and not value.is_meta
        and value.numel() > 0
        and not torch._C._functorch.is_functorch_wrapped_tensor(value)
    )


def as_plain(value: torch.Tensor) -> torch.Tensor:
    """The same value and graph without a subclass in name only, such as those of fastai or MONAI.

    What is done with the result calls nothing of the subclass.
    """
    kind = type(value)
    if kind is torch.Tensor or kind is nn.Parameter or not _is_in_name(value):
        return value
    with torch._C.DisableTorchFunctionSubclass():
        return value.as_subclass(torch.Tensor)


def _is_in_name(value: object) -> bool:
    """Whether operations see an ordinary tensor in it."""
    of_tensors = torch.Tensor.__torch_dispatch__
    return isinstance(value, torch.Tensor) and type(value).__torch_dispatch__ is of_tensors


def sampled_part(value: object) -> torch.Tensor | None:
    """The detached, dense, real tensor that is sampled in place of a value; None if there is none.

    It shares the value's memory. A complex tensor gets a last axis for real and imaginary part; the
    examples of a jagged nested tensor are concatenated.
    """
    if can_sample(value):
        return value.detach()
    if not isinstance(value, torch.Tensor) or torch._C._functorch.is_functorch_wrapped_tensor(
        value
    ):
        return None
    with torch.no_grad(), torch._C.DisableTorchFunctionSubclass():
        part = value.detach()
        if value.is_nested:
            part = part.values() if value.layout is torch.jagged else part
        elif value.layout is not torch.strided or value.is_meta:
            return None
        elif _is_in_name(value):
            part = part.as_subclass(torch.Tensor)
        if part.is_complex():
            part = torch.view_as_real(part.resolve_conj())
        return part if can_sample(part) else None


def main_tensor(output: Any) -> torch.Tensor | None:
    """The tensor that stands for a module's output: the first of floats with at least one axis."""
    if type(output) is torch.Tensor:  # the case of nearly every module
        return output if _is_signal(output) else None
    parts = (part for _, part in named_parts("", output))
    values = (part.data if isinstance(part, PackedSequence) else part for part in parts)
    return next((one for one in values if isinstance(one, torch.Tensor) and _is_signal(one)), None)


def _is_signal(tensor: torch.Tensor) -> bool:
    return (tensor.is_floating_point() or tensor.is_complex()) and tensor.dim() > 0


def memory_of(tensor: torch.Tensor) -> int | None:
    """The address of the tensor's storage; None if it has no memory of its own."""
    try:
        return tensor.untyped_storage().data_ptr() or None
    except RuntimeError:  # it has none that could be read: a sparse tensor, one of a compiler
        return None
