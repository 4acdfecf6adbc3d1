"""The last steps of a `fit` on JAX, kept so that one of them can be made again exactly.

A step takes over the arrays that it is given, so they are copied: all of them now and then, between
that only what somebody else than the step has changed. Batches are kept as they are.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

_MOST_STEPS = 32
_MOST_BATCHES = 1 << 24  # bytes of batches, but for the last two
_MOST_STATE = 1 << 28  # bytes of weights and all else that a step is given


class _Array(NamedTuple):
    """A copy, and where the array was."""

    copy: Any
    sharding: Any


class _Step(NamedTuple):
    number: int
    batches: Sequence[Any]
    changed: dict[int, _Array]


class Again(NamedTuple):
    """A step as it was: its number, what it was given, and what it gave back."""

    number: int
    state: Any
    batch: Any
    result: Any


class KeptSteps:
    """Keeps them until all that came before is known to be sound."""

    def __init__(self) -> None:
        self._steps: list[_Step] = []
        self._structure: Any = None
        self._result: list[Any] = []
        self._bytes = 0

    @property
    def is_full(self) -> bool:
        """Whether the next step begins anew, if nothing has broken."""
        batches = self._bytes > _MOST_BATCHES and len(self._steps) > 1
        return len(self._steps) >= _MOST_STEPS or batches

    def forget(self) -> None:
        """Keep nothing."""
        self._steps, self._result, self._bytes = [], [], 0

    def begins(self, number: int, state: Any, batches: Sequence[Any]) -> None:
        """A step, or several in one, is about to be made.

        Args:
            number: of the first.
            state: what it is given and takes over.
            batches: what comes in, one for each; may still grow.
        """
        leaves, structure = jax.tree_util.tree_flatten(state)
        if self.is_full or not self._steps or structure != self._structure:
            self.forget()
        self._structure = structure
        if sum(leaf.nbytes for leaf in leaves) > _MOST_STATE:
            self.forget()
            return
        last = self._result if self._steps else [None] * len(leaves)
        changed = {
            place: _Array(_copy(leaf), getattr(leaf, "sharding", None))
            for place, (leaf, before) in enumerate(zip(leaves, last, strict=True))
            if leaf is not before
        }
        self._steps.append(_Step(number, batches, changed))

    def ended(self, state: Any) -> None:
        """What the step gave back."""
        if self._steps:
            self._result = jax.tree_util.tree_leaves(state)
            batches = jax.tree_util.tree_leaves(self._steps[-1].batches)
            self._bytes += sum(getattr(leaf, "nbytes", 0) for leaf in batches)

    def again(self, run: Callable[[Any, Any], Any]) -> Iterator[Again]:
        """Make the kept steps once more.

        Args:
            run: makes a step of a state and a batch, and takes nothing over; gives back a state.
        """
        leaves: list[Any] = []
        for step in self._steps:
            leaves = leaves or [None] * len(step.changed)
            for place, array in step.changed.items():
                leaves[place] = jax.device_put(array.copy, array.sharding)
            for number, batch in enumerate(step.batches):
                state = jax.tree_util.tree_unflatten(self._structure, leaves)
                result = run(state, batch)
                yield Again(step.number + number, state, batch, result)
                leaves = jax.tree_util.tree_leaves(result)


def _copy(leaf: Any) -> Any:
    """On the host where that is where it is."""
    devices = getattr(leaf, "devices", None)
    if devices is None or all(device.platform == "cpu" for device in devices()):
        return np.array(leaf)
    return leaf.copy()
