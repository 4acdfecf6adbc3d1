"""What hooks have seen in a sampled step and what is copied a little later, many at once.

After a layer's computation the processor's caches hold that layer: an operation of ours then takes
ten times as long as right after another of ours. So a hook only notes a tensor, and those noted
are copied together. None is changed meanwhile: its version tells; what was is not recorded, and
what its module gives is copied at once from then on. Few are held, and for a short time.
"""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, TypeGuard

import torch

from nntrace_torch.program.describe import can_sample
from nntrace_torch.samples.module_sites import ModuleSites
from nntrace_torch.samples.plans import Plan
from nntrace_torch.samples.step import StepSample

# What is held cannot be used again: the program's next tensors are in fresh memory, which is cold
# and costs a page fault every 4 KiB. With 16 MiB that took longer than the copies.
MOST_BYTES: Final = 4 << 20
_MOST: Final = 64
_LARGE_BYTES: Final = 4 << 20  # of such a tensor the copy is nothing beside its computation


class Seen(NamedTuple):
    """A tensor as a hook saw it; `units_before` are the axes and the unit axis of the last one."""

    sites: ModuleSites
    tensor: torch.Tensor
    version: int
    is_copied: bool = False
    units_before: tuple[int, int] | None = None


class Waiting:
    """Tensors that wait to be copied into one sample.

    Args:
        copy: copies some of them.
    """

    def __init__(self, copy: Callable[[Sequence[Seen]], object]) -> None:
        self._copy = copy
        self._seen: list[Seen] = []
        self._bytes = 0

    def add(self, seen: Seen) -> None:
        """Hold one; what waits is copied when it becomes much."""
        self._seen.append(seen)
        self._bytes += seen.sites.nbytes
        if self._bytes > MOST_BYTES or len(self._seen) >= _MOST:
            self.copy()

    def copy(self) -> None:
        """Copy all that wait."""
        if self._seen:
            seen = self._seen
            self.drop()
            self._copy(seen)

    def drop(self) -> None:
        """Forget them."""
        self._seen, self._bytes = [], 0


class Alike:
    """Parts of tensors that are copied in one go, those of equal form together."""

    def __init__(self) -> None:
        # Plans are shared and outlive this: their identity is the quicker key.
        self._members: dict[tuple[int, torch.dtype], tuple[Plan, list[int], list[torch.Tensor]]]
        self._members = {}

    def add(self, site: int, plan: Plan, part: torch.Tensor) -> None:
        """One more, of a detached tensor."""
        key = (id(plan), part.dtype)
        members = self._members.get(key)
        if members is None:
            members = self._members[key] = (plan, [], [])
        members[1].append(site)
        members[2].append(part)

    def copy(self, sample: StepSample) -> None:
        """Copy them all into a sample."""
        for plan, sites, parts in self._members.values():
            sample.add_alike(sites, plan, parts)


def may_be_held(tensor: torch.Tensor) -> bool:
    """Whether a tensor may be kept beyond the call that gave it; all else can be asked later."""
    return (
        type(tensor) is torch.Tensor
        and not torch._C._functorch.is_functorch_wrapped_tensor(tensor)
        and not tensor.is_inference()
    )


def can_wait(tensor: object) -> TypeGuard[torch.Tensor]:
    """Whether a tensor may be copied later: on an accelerator the copy itself waits for nobody."""
    return (
        can_sample(tensor)
        and tensor.is_cpu
        and not tensor.is_inference()
        and tensor.nbytes <= _LARGE_BYTES
    )
