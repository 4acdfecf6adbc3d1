"""Which pieces of gradients are looked at: as little as shows that something is not finite.

What breaks on the way back arrives at the parameters furthest from the loss, and in every row of a
matrix, so that one of its columns tells.
"""

import math
from collections.abc import Iterable, Sequence

import torch
from torch.optim import Optimizer

from nntrace_torch.patching import read_number
from nntrace_torch.program.ranks import local_part
from nntrace_torch.samples.plans import fixed_plan, meets_all

ALL = 1 << 30  # more gradients than there are
_FIRST = 4  # parameters near the beginning of the model
_ELEMENTS = 4096  # of a sample, as a rule


def first_is_finite(optimizer: Optimizer) -> bool | None:
    """Whether a vector near the beginning of the model has a gradient of finite numbers.

    None where there is none that can be read at once. A few operations: made in many steps.
    """
    for parameter in optimizer.param_groups[0]["params"][:_FIRST]:
        gradient = parameter.grad
        if type(gradient) is torch.Tensor and gradient.dim() == 1 and gradient.is_cpu:
            is_dense = gradient.layout is torch.strided and gradient.is_floating_point()
            return math.isfinite(read_number(gradient.sum())) if is_dense else None
    return None


def upstream(parameters: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """The parameter furthest from the loss, by order of definition; a vector, if one is near."""
    first = [parameter for parameter in parameters[:_FIRST] if parameter.grad is not None]
    return [next((p for p in first if p.dim() == 1), first[0])] if first else []


def pieces_of(
    gradients: Iterable[torch.Tensor], looks: int, *, is_whole: bool
) -> dict[torch.dtype, list[torch.Tensor]]:
    """A flat piece of each gradient of floating-point numbers on the host, by their type.

    Args:
        gradients: also sparse ones, and those of which this rank holds a part.
        looks: how many gradients are looked at; of `ALL`, what a sample would read of each.
        is_whole: take every element.
    """
    found: dict[torch.dtype, list[torch.Tensor]] = {}
    for whole in gradients:
        if whole.device.type != "cpu":
            continue
        gradient: torch.Tensor | None = local_part(whole)
        if gradient is not None and gradient.layout is not torch.strided:
            gradient = gradient._values() if gradient.is_sparse else None
        if gradient is not None and gradient.is_floating_point() and gradient.numel():
            if is_whole:
                piece = gradient
            else:
                piece = _sampled(gradient) if looks == ALL else _column(gradient)
            piece = piece.reshape(-1) if piece.dim() != 1 else piece
            found.setdefault(gradient.dtype, []).append(piece)
    return found


def total(pieces: Sequence[torch.Tensor]) -> float:
    """Not finite when an element is not; the converse is checked by who asks."""
    joined = pieces[0].reshape(-1) if len(pieces) == 1 else torch.cat([*pieces])
    return float(joined.sum().detach())  # gradients that were made by hand may have a graph


def _column(gradient: torch.Tensor) -> torch.Tensor:
    return gradient.select(-1, 0) if gradient.dim() > 1 else gradient


def _sampled(gradient: torch.Tensor) -> torch.Tensor:
    """What lies where the sample will look, too, in every row and column of a matrix."""
    if gradient.dim() < 2:
        return gradient
    shape, strides = gradient.shape, gradient.stride()
    plan = fixed_plan(shape, strides, _ELEMENTS)
    if plan is None or len(plan.size) < 2 or not meets_all(shape, strides, _ELEMENTS):
        return _column(gradient)
    return gradient.as_strided(plan.size, plan.strides[0], gradient.storage_offset())
