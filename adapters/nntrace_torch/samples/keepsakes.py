"""The few tensors that are kept as they are: the first training batch, the first layer's filters.

Bounded in size and rare: the batch once per run, the filters at steps that lie ever further apart.
"""

import weakref

import torch
from torch import nn

from nntrace.recorder import KeptTensor, batch_extent, next_turn
from nntrace.schema import Role
from nntrace_torch.program.describe import dtype_name
from nntrace_torch.program.tensors import can_sample

_MAX_FILTER_ELEMENTS = 1 << 16
_MAX_PLANES = 4  # channels an image can have


def kept_batch(tensor: torch.Tensor, role: Role, path: str, places: int = 1) -> KeptTensor | None:
    """The first examples of a batch [N, …], as they enter the network or the loss function.

    None for what is too large even in part. Of a batch [N · places], laid flat, as many examples.
    """
    if not can_sample(tensor) or tensor.dim() == 0:
        return None
    shape = tuple(tensor.shape)
    extent = batch_extent(shape if places == 1 else (shape[0] // places, places))
    if extent is None:
        return None
    part = tensor.detach()[: extent.examples * places]
    if extent.stride > 1:
        part = part[..., :: extent.stride, :: extent.stride]
    return _kept(tensor, part, role, path, extent.stride)


def shows_filters(parameter: torch.Tensor, owner: nn.Module) -> bool:
    """Whether this is the weight of a convolution over images: filters that can be looked at."""
    return (
        isinstance(owner, nn.Conv2d)
        and parameter.dim() == 4
        and parameter.shape[1] <= _MAX_PLANES
        and min(parameter.shape[2:]) > 1
        and parameter.numel() <= _MAX_FILTER_ELEMENTS
    )


class KeptFilters:
    """The filters of the first convolution, at steps 0, 1, 2, 3, 5, 8, … as far as sampled."""

    def __init__(self, path: str, parameter: torch.Tensor) -> None:
        self._path = path
        self._parameter = weakref.ref(parameter)
        self._next_step = 0.0

    def keep(self, step: int) -> KeptTensor | None:
        """The filters now, when their turn has come."""
        parameter = self._parameter()
        if parameter is None or step < self._next_step or not can_sample(parameter):
            return None
        self._next_step = next_turn(step)
        return _kept(parameter, parameter.detach(), Role.PARAM, self._path, 1)


def _kept(
    whole: torch.Tensor, part: torch.Tensor, role: Role, path: str, stride: int
) -> KeptTensor:
    if part.dtype is torch.bfloat16:  # NumPy has no such type
        part = part.float()
    # A copy in NumPy's memory: the program may write into the tensor before the writer thread gets
    # to it, and no tensor of ours may live beyond its step.
    values = part.resolve_neg().cpu().numpy().copy()
    return KeptTensor(role, path, tuple(whole.shape), dtype_name(whole), values, stride)
