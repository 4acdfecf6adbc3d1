"""Records that the program set PyTorch's seed."""

from typing import Any

import torch

from nntrace.recorder import Recorder
from nntrace.schema import EventKind
from nntrace_torch.patching import Undo, before

_MANY = 64  # a program that seeds at every step says nothing new
_GIVEN_BITS = 32  # at most, of a seed that a program gives; PyTorch's own choice has 64


class SeedObserver:
    """Watches `torch.manual_seed`."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._seen = 0

    def install(self) -> list[Undo]:
        """Watch `torch.manual_seed` and `torch.random.manual_seed`, which are one function.

        A seed set before, as in a notebook's first cell, is one a person would write.
        """
        seeded = self._recorder.guard(self._seeded)
        if (seed := torch.initial_seed()).bit_length() <= _GIVEN_BITS:
            seeded(seed)
        return [before(module, "manual_seed", seeded) for module in (torch, torch.random)]

    def _seeded(self, seed: Any = None, *args: Any, **kwargs: Any) -> None:
        self._seen += 1
        if self._seen <= _MANY:
            payload = {"function": "torch.manual_seed", "seed": str(seed)}
            self._recorder.add_event(EventKind.SEED, payload)
