"""Holds the tensors that hooks have seen in a sampled step, to copy many of them at once.

After a layer's computation the processor's caches hold that layer: an operation of ours then takes
ten times as long as right after another of ours. So a hook only notes a tensor, and the noted ones
are copied together a little later. A tensor's version tells whether it was written to meanwhile:
then it is not recorded, and its module's outputs are copied at once from then on. Few tensors are
held, and not for long.
"""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, TypeGuard

import torch

from nntrace_torch.program.tensors import can_sample
from nntrace_torch.samples.module_sites import ModuleSites

# What is held cannot be used again: the program's next tensors are in fresh memory, which is cold
# and costs a page fault every 4 KiB. With 16 MiB that took longer than the copies.
MOST_BYTES: Final = 4 << 20
_MOST: Final = 64
LARGE_BYTES: Final = 4 << 20  # a larger tensor takes far longer to compute than to copy


class Seen(NamedTuple):
    """A tensor as a hook saw it."""

    sites: ModuleSites
    tensor: torch.Tensor
    version: int


class Waiting:
    """Tensors that were copied at once, kept until it is clear whether they are written to later.

    Args:
        judge: told of some of them after a while.
    """

    def __init__(self, judge: Callable[[Sequence[Seen]], object]) -> None:
        self._judge = judge
        self._seen: list[Seen] = []
        self._bytes = 0

    def add(self, seen: Seen) -> None:
        """Hold a tensor; those held are judged when there are many."""
        self._seen.append(seen)
        self._bytes += seen.sites.nbytes
        if self._bytes > MOST_BYTES or len(self._seen) >= _MOST:
            self.judge()

    def judge(self) -> None:
        """Judge all tensors that are held."""
        if self._seen:
            seen = self._seen
            self.drop()
            self._judge(seen)

    def drop(self) -> None:
        """Forget all tensors that are held."""
        self._seen, self._bytes = [], 0


def can_wait(tensor: object) -> TypeGuard[torch.Tensor]:
    """Whether a tensor may be copied later; on an accelerator copies are asynchronous anyway."""
    return (
        can_sample(tensor)
        and tensor.is_cpu
        and not tensor.is_inference()
        and tensor.nbytes <= LARGE_BYTES
    )
