"""What enters the model: input samples, and a hash of every example of the batch."""

from collections.abc import Iterator
from typing import Any

import torch

from nntrace.recorder import Recorder
from nntrace.schema import Role
from nntrace_torch.describe import can_sample, tensor_fields
from nntrace_torch.keepsakes import kept_batch
from nntrace_torch.modules import Model
from nntrace_torch.plans import activation_plan
from nntrace_torch.sources import UNKNOWN
from nntrace_torch.step import StepSample

_MAX_EXAMPLES = 4096
_MAX_HASHED = 1 << 15  # elements of a batch that are hashed
_MULTIPLIER = 0x9E3779B97F4A7C15 - (1 << 64)  # 2^64 divided by the golden ratio, as an int64
_BITS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


class InputSampler:
    """Samples the tensors given to a root module."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._sites: dict[tuple[str, str], int] = {}
        self._has_kept = False

    def observe(
        self,
        model: Model,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        sample: StepSample,
    ) -> bool:
        """Sample the inputs of a training forward, and hash the examples of the first.

        Returns:
            Whether there was any tensor among them.
        """
        tensors = [(name, t) for name, t in _tensors(args, kwargs) if can_sample(t) and t.dim()]
        if not tensors:
            return False
        for name, tensor in tensors:
            site = self._site(model, name, tensor)
            axis = 1 if tensor.dim() >= 4 else -1
            plan = activation_plan(tuple(tensor.shape), tensor.stride(), axis, sample.limit)
            sample.add(site, plan, tensor.detach())
        first = next((t for _, t in tensors if t.is_floating_point()), tensors[0][1]).detach()
        plan = activation_plan(
            tuple(first.shape), first.stride(), 1 if first.dim() >= 4 else -1, sample.limit
        )
        sample.add_batch_values("inputs", plan.view(first, sample.turn).contiguous())
        sample.add_hashes(example_hashes(first))
        sample.describe_batch(batch_size=int(first.shape[0]))
        if not self._has_kept:
            self._has_kept = True
            for name, tensor in tensors:
                sample.keep(kept_batch(tensor, Role.INPUT, model.join(name)))
        return True

    def _site(self, model: Model, name: str, tensor: torch.Tensor) -> int:
        key = (model.prefix, name)
        if key not in self._sites:
            self._sites[key] = self._recorder.add_site(
                model.join(name), Role.INPUT, module_type="input", **tensor_fields(tensor, UNKNOWN)
            )
        return self._sites[key]


def example_hashes(batch: torch.Tensor) -> torch.Tensor:
    """An int64 hash of each example [N, …], equal for examples whose bits are equal.

    Of large examples at least 1024 elements, spread evenly, are hashed.
    """
    count = min(batch.shape[0], _MAX_EXAMPLES)
    flat = batch[:count].reshape(count, -1)
    features = flat.shape[1]
    kept = min(features, max(1024, _MAX_HASHED // count))
    flat = flat[:, :: max(1, features // kept)].contiguous()
    if flat.dtype is torch.bool:
        flat = flat.to(torch.uint8)
    bits = flat.view(_BITS[flat.element_size()]).to(torch.int64)
    place = torch.arange(1, bits.shape[1] + 1, device=bits.device)
    mixed = (bits + place) * _MULTIPLIER  # wraps around, which is meant
    return ((mixed ^ (mixed >> 29)) * (2 * place + 1)).sum(dim=1)


def _tensors(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[tuple[str, torch.Tensor]]:
    """The tensors among the arguments of a call, one level of containers deep, with names."""
    for number, value in enumerate(args):
        yield from _named(f"input.{number}", value)
    for name, value in kwargs.items():
        yield from _named(f"input.{name}", value)


def _named(name: str, value: Any) -> Iterator[tuple[str, torch.Tensor]]:
    if isinstance(value, torch.Tensor):
        yield name, value
    elif isinstance(value, dict):
        yield from ((f"{name}.{k}", v) for k, v in value.items() if isinstance(v, torch.Tensor))
    elif isinstance(value, (tuple, list)):
        yield from ((f"{name}.{i}", v) for i, v in enumerate(value) if isinstance(v, torch.Tensor))
