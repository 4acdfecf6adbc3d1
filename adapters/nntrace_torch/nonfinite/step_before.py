"""Keeps what is needed to compute the previous step again: its batches, and slightly older weights.

A non-finite gradient that nobody looked at shows only in the loss of the next step, when the
optimizer has spread it to the weights. So the calls and batches of one more step are kept by
reference, and weights are copied now and then, as often as a small share of the time pays for. With
both, the step that broke is computed once more. Nothing is kept of large batches, large models and
accelerators.
"""

import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.parameter import is_lazy

from nntrace_torch.data.loaders import LoaderObserver
from nntrace_torch.patching import outside_modes
from nntrace_torch.program.containers import named_parts, tensors_within
from nntrace_torch.program.module_tree import buffers_of, parameters_of
from nntrace_torch.replay.call import Call
from nntrace_torch.replay.calls import RootCalls
from nntrace_torch.replay.engine import original_of
from nntrace_torch.samples.modules import Models

_SHARE = 0.0005  # of the time, for copying weights
_COPIED_BYTES = 32 << 20  # of weights; larger models have steps long enough to look at gradients
_KEPT_BYTES = 32 << 20  # of batches
_TRIES = 4  # micro-batches

_PLAIN = (torch.Tensor, torch.nn.Parameter)

_Copy = tuple[weakref.ref[torch.Tensor], torch.Tensor]


@dataclass(frozen=True, slots=True)
class Past:
    """An earlier micro-batch, of this step or the one before, that can be computed again.

    Attributes:
        kept: its calls of the model, oldest first.
        weights: earlier values of parameters and buffers, by the ids of the current tensors.
        stand_ins: earlier values of arguments and batches, by the ids of this step's.
        age: by how many steps the weights are older than the micro-batch.
    """

    kept: Sequence[Call]
    weights: Mapping[int, torch.Tensor]
    stand_ins: Mapping[int, Any]
    age: int

    def of_last_micro_batch(self) -> Sequence[Call]:
        """All its calls, as `RootCalls.of_last_micro_batch` gives them for the current step."""
        return self.kept

    def then(self, value: Any) -> Any:
        """The value that stood in the place of `value` then; `value` itself where unknown."""
        return self.stand_ins.get(id(value), value)


class StepBefore:
    """Keeps the calls and batches of the step before, and copies of the weights."""

    def __init__(self, models: Models, calls: RootCalls, loaders: LoaderObserver) -> None:
        self._models = models
        self._calls = calls
        self._loaders = loaders
        self._copies: list[_Copy] = []
        self._next_ns = 0
        self._copied_at = 0  # the number of the step in which weights were copied last

    def look(self, step: Callable[[], int]) -> None:
        """Copy the weights, if it is time to: the loss is finite, and so they are.

        Args:
            step: returns the step's number; calling it records the steps that wait to be.
        """
        now = time.perf_counter_ns()
        if now >= self._next_ns:
            outside_modes(self._copy)()
            self._copied_at = step()
            ended = time.perf_counter_ns()
            self._next_ns = ended + int((ended - now) / _SHARE)

    def pasts(self, step: int) -> Iterator[Past]:
        """The micro-batches of the step before, the last one first.

        Args:
            step: the number of the current step.
        """
        weights = {id(own): copy for ref, copy in self._copies if (own := ref()) is not None}
        if weights:
            yield from self._micro_batches(self._calls.before, weights, step - 1 - self._copied_at)

    def earlier_micro_batches(self) -> Iterator[Past]:
        """All micro-batches of the current step but the last; they had the current weights."""
        last = self._calls.of_last_micro_batch()
        number = last[0].micro_batch if last else 0
        earlier = [call for call in self._calls.kept if call.micro_batch < number]
        return self._micro_batches(earlier, {}, 0)

    def _micro_batches(
        self, calls: Iterable[Call], weights: Mapping[int, torch.Tensor], age: int
    ) -> Iterator[Past]:
        now = self._calls.of_last_micro_batch()
        known = [call for call in calls if call.gradients_enabled]
        for number in sorted({call.micro_batch for call in known}, reverse=True)[:_TRIES]:
            then = [call for call in known if call.micro_batch == number]
            yield Past(then, weights, self._stand_ins(now, then), age)

    def _copy(self) -> None:
        tensors = list(self._weights())
        batches = (tensors_within(call.arguments) for call in self._calls.kept)
        kept = [tensor for batch in batches for tensor in batch]
        keeps = (
            all(type(tensor) in _PLAIN and tensor.is_cpu for tensor in tensors)
            and _bytes(tensors) <= _COPIED_BYTES
            # A tensor with a graph would keep the graph of the step before alive.
            and not any(tensor.requires_grad for tensor in kept)
            and _bytes(kept) <= _KEPT_BYTES
        )
        self._calls.keeps_before = self._loaders.keeps_batches = keeps
        if not keeps:
            self._copies.clear()
            return
        if not _are(self._copies, tensors):
            self._copies = [(weakref.ref(own), torch.empty_like(own)) for own in tensors]
        with torch.no_grad():
            for own, (_, copy) in zip(tensors, self._copies, strict=True):
                copy.copy_(own.detach())

    def _weights(self) -> Iterator[torch.Tensor]:
        seen = set[int]()
        for model in self._models.known:
            root = model.root
            for own in () if root is None else (*parameters_of(root), *buffers_of(root)):
                if id(own) in seen or is_lazy(own):
                    continue
                if own.layout is torch.strided and not own.is_inference():
                    seen.add(id(own))
                    yield own

    def _stand_ins(self, now: Sequence[Call], then: Sequence[Call]) -> dict[int, Any]:
        """Earlier values of the model's arguments, and of what loaders gave together with them."""
        found: dict[int, Any] = {}
        for call in now:
            same = (c for c in then if original_of(c.compute) is original_of(call.compute))
            if (other := next(same, None)) is not None:
                pair(call.args, other.args, found)
                pair(call.kwargs, other.kwargs, found)
        batches = list(self._loaders.batches)
        mine = {id(tensor) for call in now for tensor in tensors_within(call.arguments)}
        were = {id(t) for call in then for t in tensors_within(call.arguments)}
        current = _holding(batches, mine) or (batches[-1] if len(batches) > 1 else None)
        earlier = _holding(batches, were) or (batches[-2] if len(batches) > 1 else None)
        if current is not None and earlier is not None and current is not earlier:
            pair(current, earlier, found)
        return found


def pair(now: Any, then: Any, found: dict[int, Any]) -> None:
    """Note in `found`, by the ids of the parts of `now`, the parts of `then` in the same places."""
    for (name, one), (other_name, other) in zip(
        named_parts("", now), named_parts("", then), strict=False
    ):
        if name == other_name and type(one) is type(other) and not _is_shared(one):
            found[id(one)] = other
    if type(now) is type(then) and isinstance(now, (list, tuple, dict)) and now:
        found[id(now)] = then


def _is_shared(value: Any) -> bool:
    """Whether an id does not identify the value: equal numbers and strings may be one object."""
    return value is None or isinstance(value, (bool, int, float, str, bytes, tuple))


def _holding(batches: Iterable[Any], tensors: set[int]) -> Any:
    return next((b for b in batches if any(id(t) in tensors for t in tensors_within(b))), None)


def _bytes(tensors: Iterable[torch.Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def _are(copies: Sequence[_Copy], tensors: Sequence[torch.Tensor]) -> bool:
    return len(copies) == len(tensors) and all(
        ref() is own and copy.shape == own.shape and copy.dtype is own.dtype
        for (ref, copy), own in zip(copies, tensors, strict=True)
    )
