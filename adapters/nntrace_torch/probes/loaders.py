"""Pins data loaders: after the first step, the loader that fed it delivers its batches again.

The whole program then sees one batch in every step, including losses it computes by itself. A
loader that is read with gradients off, for an evaluation, is left alone.
"""

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch.utils.data import dataloader as loader_module

from nntrace_torch.patching import Undo, wrap

_MOST = 64  # batches of one step


class PinnedLoaders:
    """Keeps what each loader delivers within the first step, and delivers that from then on.

    Attributes:
        pinned: whether a loader is pinned.
    """

    def __init__(self) -> None:
        self._delivered: dict[int, list[Any]] = {}
        self._turns: dict[int, int] = {}
        self.pinned = False

    def install(self) -> list[Undo]:
        """Watch the iterators of all loaders."""
        return [wrap(loader_module._BaseDataLoaderIter, "__next__", self._pinning)]

    def step_ended(self) -> None:
        """Pin the batches of the first step; each step starts again with the first of them."""
        self.pinned = self.pinned or bool(self._delivered)
        self._turns = dict.fromkeys(self._delivered, 0)

    def _pinning(self, run: Callable[..., Any]) -> Callable[..., Any]:
        def __next__(iterator: Any) -> Any:
            batch = run(iterator)  # its own order, and its own end
            if not torch.is_grad_enabled():
                return batch
            key = id(iterator._dataset)
            if not self.pinned:
                self._note(key, batch)
                return batch
            kept = self._delivered.get(key)
            if not kept:
                return batch
            turn = self._turns[key]
            self._turns[key] = turn + 1
            return copy.deepcopy(kept[turn % len(kept)])

        return __next__

    def _note(self, key: int, batch: Any) -> None:
        kept = self._delivered.setdefault(key, [])
        if len(kept) < _MOST:
            try:
                kept.append(copy.deepcopy(batch))
            except Exception:  # what cannot be copied cannot be given twice
                kept.append(batch)
