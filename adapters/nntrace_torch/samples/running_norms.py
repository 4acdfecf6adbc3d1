"""Samples what a batch norm would give in evaluation.

That is its training input, normalised by the running statistics instead of the batch's: mean 0 and
standard deviation 1 when the two agree. The first sample of a norm is normalised by the statistics
it came with, all others by those into which the batch has been mixed.
"""

import weakref
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from nntrace.adapter import Statistics, described
from nntrace.recorder import Recorder
from nntrace.schema import Role
from nntrace_torch.program.describe import class_name, tensor_fields
from nntrace_torch.program.sources import Sources
from nntrace_torch.program.tensors import can_sample
from nntrace_torch.samples.plans import activation_plan
from nntrace_torch.samples.step import StepSample

_RANKS = {nn.BatchNorm1d: (2, 3), nn.BatchNorm2d: (4,), nn.BatchNorm3d: (5,)}
_EVERY = 2  # of its samples: running statistics change slowly
_LARGEST_EPSILON = 1e-3  # a larger one makes the output small in training and evaluation alike
_LARGEST_PART = 0.5  # of the batch in them, with which those before can still be computed


class RunningNorms:
    """Looks at batch norms in training mode, at some of the sampled steps."""

    def __init__(self, recorder: Recorder, sources: Sources) -> None:
        self._recorder = recorder
        self._sources = sources
        self._sites: dict[str, int] = {}
        self._calls: weakref.WeakKeyDictionary[nn.Module, int] = weakref.WeakKeyDictionary()

    def observe(self, path: str, module: nn.Module, args: Any, sample: StepSample) -> None:
        """Sample what the norm was given; after it updated its running statistics."""
        found = statistics(module)
        if found is None or not found.is_training:
            return
        calls = self._calls[module] = self._calls.get(module, -1) + 1
        entered = args[0] if args else None
        if (
            calls % _EVERY
            or not can_sample(entered)
            or not _is_taken_as_given(module, found, entered)
        ):
            return
        site = self._sites.get(path)
        if site is None:
            fields = tensor_fields(entered, self._sources.of(module))
            site = self._sites[path] = self._recorder.add_site(
                path, Role.RUNNING_NORM, module_type=class_name(module), **fields
            )
        part = entered.detach()
        mean, variance = (found.mean, found.variance) if calls else _without(part, module, found)
        axis = found.axis % part.dim()
        plan = activation_plan(tuple(part.shape), part.stride(), axis, sample.limit)
        room = sample.add(site, plan, part)
        if room is None:
            return
        with torch.no_grad():
            step = part.shape[axis] // plan.layout.units
            chosen = slice(0, step * plan.layout.units, step)
            scale = (variance[chosen].float() + min(found.epsilon, _LARGEST_EPSILON)).rsqrt_()
            room.sub_(mean[chosen]).mul_(scale)


def statistics(module: nn.Module) -> Statistics | None:
    """The running statistics of a batch norm; None for any other module, and if it has none."""
    description = described(module)
    if description is not None:
        found: Statistics | None = description.statistics(module)
        return found
    if not isinstance(module, _BatchNorm):
        return None
    mean, variance = module.running_mean, module.running_var
    is_training = module.training and mean is not None
    return Statistics(mean, variance, module.eps, module.momentum, axis=1, is_training=is_training)


def _is_taken_as_given(module: nn.Module, found: Statistics, entered: torch.Tensor) -> bool:
    """Whether an input has its channels where it should; a subclass may rearrange its input."""
    rank = entered.dim()
    for kind, ranks in _RANKS.items():
        if isinstance(module, kind) and rank not in ranks:
            return False
    return rank >= 2 and entered.shape[found.axis] == len(found.mean)


def _without(
    entered: torch.Tensor, module: nn.Module, found: Statistics
) -> tuple[torch.Tensor, torch.Tensor]:
    """The running statistics before this batch was mixed into them.

    Where they cannot be computed, those of now: a momentum near 1 has overwritten them, and a
    synchronised norm has seen the batches of other ranks.
    """
    mean, variance, part = found.mean, found.variance, found.part
    if part is None:
        tracked = getattr(module, "num_batches_tracked", None)
        part = 1.0 if tracked is None else 1.0 / max(1, int(tracked))
    if part > _LARGEST_PART or isinstance(module, nn.SyncBatchNorm):
        return mean, variance
    with torch.no_grad():
        axes = [axis for axis in range(entered.dim()) if axis != found.axis % entered.dim()]
        new_variance, new_mean = torch.var_mean(entered.float(), axes)
        return (
            (mean - part * new_mean) / (1.0 - part),
            ((variance - part * new_variance) / (1.0 - part)).clamp_min_(0.0),
        )
