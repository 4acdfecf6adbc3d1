"""Finds where a gradient broke though the loss was finite."""

from collections.abc import Callable
from types import FrameType
from typing import Any

import torch
from torch import nn

from nntrace.ranks import world_size
from nntrace_torch.nonfinite.expressions import names_holding
from nntrace_torch.nonfinite.finder import Origin, OriginFinder
from nntrace_torch.nonfinite.reruns import Reruns
from nntrace_torch.nonfinite.statements import has_graph, is_broken, recomputation
from nntrace_torch.nonfinite.step_before import Past
from nntrace_torch.program.containers import tensors_held, tensors_within
from nntrace_torch.program.graphs import leaves_of
from nntrace_torch.replay.call import Call
from nntrace_torch.replay.calls import RootCalls
from nntrace_torch.replay.engine import Replayer, original_of

_MAX_NAMES = 8


class BackwardSearch:
    """Replays forward and backward of a step.

    Of the step before, which is computed with other weights, only what breaks gradients again is
    believed.
    """

    def __init__(self, reruns: Reruns, replayer: Replayer, calls: RootCalls | Past) -> None:
        self._reruns = reruns
        self._replayer = replayer
        self._calls = calls

    def of_calls(self) -> tuple[Origin, Call] | None:
        """The first derivative within a call of the model, given what arrived at its output."""
        for call in self._calls.kept:
            if call.gradients and not any(is_broken(g) for g in call.gradients.values()):
                finder = OriginFinder()
                both, module = self._there_and_back(call), original_of(call.compute)
                inner = [module] if isinstance(module, nn.Module) else []
                found = self._reruns.run(
                    both, call.args, call.kwargs, finder, modules=inner, call=call, gradients=True
                )
                if finder.first is not None and self._is_believed(found):
                    return finder.first, call
        return None

    def of_loss(self, loss: torch.Tensor | None, frame: FrameType | None) -> Origin | None:
        """The first derivative of the statements that gave the loss, or what had no name."""
        held = self._reruns.statements(loss, frame, has_graph)
        if loss is None:
            held = self._reruns.objectives(frame, has_graph)
        for holder, compute in held:
            both = self._differentiated(compute)
            found, finder = self._reruns.compute(holder, both, gradients=True)
            if finder.first is not None and self._is_believed(found):
                return finder.first
        return None

    def of_names(self, frame: FrameType | None) -> Origin | None:
        """The operation of a value that some name of the program's frames holds.

        For gradients that a program computes without `backward`.
        """
        for holder, expression in names_holding(frame, is_broken, _MAX_NAMES):
            compute = recomputation(holder, expression, is_broken, nearby=True)
            if compute is None:
                continue
            result, finder = self._reruns.compute(holder, compute)
            origin = finder.origin_of(tensors_held(result))
            if origin is not None and not origin.given and not origin.meant:
                first = finder.first
                # What broke in the forward pass comes before its own derivative.
                return first if first is not None and first.source == origin.source else origin
        return None

    def why_not(self) -> None:
        """Note why nothing was found."""
        notes = self._reruns.notes
        if not notes and world_size() > 1:
            notes.append("the replay is finite on this rank: look at the other ranks")
        elif not notes:
            notes.append("the backward pass could not be replayed")

    def _is_believed(self, gradients: Any) -> bool:
        return isinstance(self._calls, RootCalls) or is_broken(gradients)

    def _there_and_back(self, call: Call) -> Callable[..., Any]:
        compute = original_of(call.compute)

        def both(*args: Any, **kwargs: Any) -> Any:
            output = [t for t in tensors_within(compute(*args, **kwargs)) if t.requires_grad]
            arrived = [(call.gradients or {}).get(place) for place in range(len(output))]
            pairs = [(t, g) for t, g in zip(output, arrived, strict=True) if g is not None]
            if pairs and self._replayer.leaves:
                tensors, gradients = zip(*pairs, strict=True)
                leaves = self._replayer.leaves
                return torch.autograd.grad(tensors, leaves, gradients, allow_unused=True)
            return None

        return both

    def _differentiated(self, compute: Callable[[], Any]) -> Callable[[], Any]:
        def both() -> Any:
            loss = compute()
            if not isinstance(loss, torch.Tensor) or not loss.requires_grad:
                return None
            leaves = self._replayer.leaves or leaves_of(loss)
            if not leaves:
                return None
            return torch.autograd.grad(loss, leaves, torch.ones_like(loss), allow_unused=True)

        return both
