"""Searches the step in which a non-finite value appeared for the operation that made it.

Looks, in this order, at the weights, at each call of the model, at the program's statements between
the model and the loss, and at what the autograd graph has kept. What could not be found out is
noted, never guessed.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from inspect import signature
from types import FrameType
from typing import Any

import torch

from nntrace_torch.nonfinite.backwards import BackwardSearch
from nntrace_torch.nonfinite.context import SearchContext
from nntrace_torch.nonfinite.finder import BUFFER, Origin, OriginFinder
from nntrace_torch.nonfinite.found import Found, batch_facts
from nntrace_torch.nonfinite.kept_operands import broken_node
from nntrace_torch.nonfinite.recurrent import FUSED, unfused
from nntrace_torch.nonfinite.reruns import Reruns
from nntrace_torch.nonfinite.statements import is_broken
from nntrace_torch.nonfinite.weights import WeightSearch
from nntrace_torch.program.containers import tensors_held, tensors_within
from nntrace_torch.program.frames import calling_line, lines
from nntrace_torch.replay.call import Call


class Search:
    """One search, in the current step.

    Attributes:
        reruns: its replays, and notes about what they could not do.
        in_weights: the search in the weights, with which every search begins.

    Args:
        steps: the number of optimizer steps made before this one.
        stepping: whether the optimizer is in its step, evaluating a closure.
    """

    def __init__(self, context: SearchContext, *, steps: int, stepping: bool) -> None:
        self._context = context
        self.reruns = Reruns(context.models, context.replayer, context.calls)
        self._notes = self.reruns.notes
        self._backwards = BackwardSearch(self.reruns, context.replayer, context.calls)
        self._steps = steps
        # A closure is evaluated again after the optimizer has moved the weights.
        moved = stepping and context.calls.micro_batch > 0
        self.in_weights = WeightSearch(context, self._notes, steps=steps, moved=moved)

    def loss_function(
        self,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        frame: FrameType | None,
    ) -> Found | None:
        """Search in a loss function of PyTorch, and in its arguments besides the predictions."""
        facts = {
            "function": function.__name__,
            **lines(calling_line(frame)),
            **batch_facts(self._context.calls),
        }
        if not is_broken((*args, *kwargs.values())):
            finder = OriginFinder()
            result = self.reruns.run(function, args, kwargs, finder)
            origin = finder.origin_of(result) or finder.first
            return Found("loss", origin, facts) if origin else None
        named = {**dict(zip(signature(function).parameters, args, strict=False)), **kwargs}
        predictions, *others = named.items()
        for name, value in others if not is_broken(predictions[1]) else ():
            if isinstance(value, torch.Tensor) and is_broken(value):
                found = self._statements(value, frame, nearby=name == "target")
                # The targets of a loader are data; what the program made of them is not.
                if found is not None and (name != "target" or not found.is_given):
                    return found._replace(facts={**found.facts, "part": name})
                finder = OriginFinder()
                finder.name(value, name)
                origin = finder.origin_of(value)
                if origin is not None and name != "target":  # it has no examples
                    origin = replace(origin, given=f"{name} of {function.__name__}", index=())
                return Found("data", origin, facts)
        return None

    def forward(
        self,
        value: torch.Tensor | None,
        frame: FrameType | None,
        given: Sequence[torch.Tensor] = (),
    ) -> Found:
        """Search by replaying the calls of the step, then the statements that gave the value.

        Args:
            value: the non-finite value.
            frame: where it was seen.
            given: tensors that it was computed from.
        """
        for number, call in enumerate(self._context.calls.kept):
            found = self.of_call(call, number)
            if found is not None and (found.where != "forward" or not found.is_meant):
                return (self._of_input(call, value, frame) if found.is_input else None) or found
        refused = bool(self._notes)
        broken = [tensor for tensor in given if is_broken(tensor)]
        for one in (*broken, *(() if value is None else (value,))):
            if (found := self._statements(one, frame)) is not None:
                return found
        place = lines(calling_line(frame))
        if value is not None and (origin := broken_node(value)) is not None:
            where = "loss" if self._context.calls.kept and not refused else "forward"
            return Found(where, origin, {**place, **batch_facts(self._context.calls)})
        if not self._notes:
            self._notes.append("the replayed model is finite, and the loss could not be replayed")
        return Found("unknown", None, {**place, **batch_facts(self._context.calls)})

    def _of_input(
        self, call: Call, value: torch.Tensor | None, frame: FrameType | None
    ) -> Found | None:
        """Search in what the program computed before it called the model with it."""
        for tensor in tensors_within(call.arguments):
            if is_broken(tensor):
                found = self._statements(tensor, frame, nearby=True)
                if found is None and tensor.grad_fn is not None:
                    found = None if value is None else self._statements(value, frame)
                    if found is None and (origin := broken_node(tensor)) is not None:
                        found = Found("forward", origin, lines(calling_line(frame)))
                # What the program wrote there itself is a fault of the data: whether an assignment
                # is seen to write it depends on the version of PyTorch.
                if found is not None and not found.is_given:
                    facts = {**found.facts, **batch_facts(self._context.calls, call)}
                    return found._replace(where="forward", facts=facts, call=call)
        return None

    def _statements(
        self, value: torch.Tensor, frame: FrameType | None, *, nearby: bool = False
    ) -> Found | None:
        """Search by replaying the statements of the program that gave the value."""
        for holder, compute in self.reruns.statements(value, frame, is_broken, nearby=nearby):
            result, finder = self.reruns.compute(holder, compute)
            origin = finder.origin_of(tensors_held(result))
            if origin is None and result is None:  # it ended early
                origin = finder.first
            if origin is not None and not origin.computed:
                return self._born(origin)
        return None

    def _born(self, origin: Origin) -> Found:
        """The result for an operation that was found in the program's statements."""
        where = "data" if origin.given else "forward" if self._is_of_model(origin) else "loss"
        return Found(where, origin, batch_facts(self._context.calls))

    def _is_of_model(self, origin: Origin) -> bool:
        """Whether it happened in a model, or outside all modules in a program that calls none."""
        if origin.module is None:
            return not self._context.calls.kept
        return self._context.models.path_of(origin.module) is not None

    def late(self, loss: torch.Tensor | None, frame: FrameType | None, steps_ago: int) -> Found:
        """Search for a loss of an earlier step, with this step's calls and changed weights."""
        facts = {"step": self._steps - steps_ago, "steps_ago": steps_ago}
        if self.in_weights.look() is not None:
            self._notes.append(
                "the loss came from the accelerator when the optimizer had spread it to the weights"
            )
            found = Found("unknown", None, lines(calling_line(frame)))
        else:
            found = self.forward(loss, frame)
        return found._replace(facts={**found.facts, **facts})

    def of_call(self, call: Call, number: int = 0) -> Found | None:
        """Search by replaying one call of the model."""
        finder = OriginFinder()
        output = self.reruns.call(call, finder)
        origin = finder.origin_of(tensors_within(output)) or (
            finder.first if output is None else None
        )
        if origin is not None and origin.op in FUSED:
            origin = self._cell_by_cell(call) or origin
        if origin is None and output is None:  # what came in is known without a replay
            origin = finder.origin_of(tensors_within(call.arguments))
            origin = None if origin is not None and origin.meant else origin
        if origin is None:
            return None
        facts = batch_facts(self._context.calls, call)
        if number:
            facts["call"] = number + 1
        if origin.given.startswith(BUFFER):
            facts["parameter"] = origin.given.removeprefix(BUFFER)
            return Found("weights", origin, facts, call)
        return Found("data" if origin.given else "forward", origin, facts, call)

    def _cell_by_cell(self, call: Call) -> Origin | None:
        """Search in a recurrent layer whose fused kernel hides its cells."""
        finder = OriginFinder()
        with unfused():
            output = self.reruns.run(call.compute, call.args, call.kwargs, finder, call=call)
        return finder.origin_of(tensors_within(output))

    def backward(self, loss: torch.Tensor | None, frame: FrameType | None) -> Found:
        """Search by replaying forward and backward of the calls, then of the whole loss."""
        if (of_call := self._backwards.of_calls()) is not None:
            origin, call = of_call
            return Found("backward", origin, batch_facts(self._context.calls, call), call)
        if (of_loss := self._backwards.of_loss(loss, frame)) is not None:
            return Found("backward", of_loss, {})
        if loss is None and (of_name := self._backwards.of_names(frame)) is not None:
            return Found("backward", of_name, {}) if of_name.node else self._born(of_name)
        earlier = self._context.before.earlier_micro_batches()
        if (of_earlier := self.in_weights.once_more(earlier, loss, frame)) is not None:
            return of_earlier
        self._backwards.why_not()
        return Found("backward", None, {})

    def raised(self, error: BaseException, frame: FrameType | None) -> Found | None:
        """Search for a value because of which the program raised an error, if any."""
        for number, call in enumerate(self._context.calls.of_last_micro_batch()):
            found = self.of_call(call, number)
            if found is None or found.is_meant or found.origin is None:
                continue
            ended = self.reruns.raised
            if ended is None or (type(ended) is type(error) and found.origin.kind == "nan"):
                return (self._of_input(call, None, frame) if found.is_input else None) or found
        origin = self._backwards.of_names(frame)
        return None if origin is None else self._born(origin)
