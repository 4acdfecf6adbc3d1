"""Searches the step a non-finite value appeared in for the operation it began with.

Looks, in this order, at the weights, at each call of the model, at the program's statements between
the model and the loss, and at what the autograd graph has kept. What could not be found out is
noted, never guessed.
"""

import os
import warnings
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any, NamedTuple

import torch
from torch import nn

from nntrace_torch.containers import named_tensors, tensors_within
from nntrace_torch.modules import Models
from nntrace_torch.optimizers import Optimizers
from nntrace_torch.ranks import local_part
from nntrace_torch.replay.calls import Call, RootCalls, autocasting
from nntrace_torch.replay.engine import Replayer, original_of
from nntrace_torch.replay.finder import BUFFER, Birth, OriginFinder, source_text
from nntrace_torch.replay.frames import expressions_holding
from nntrace_torch.replay.graph import broken_node
from nntrace_torch.replay.guard import ReplayRefusedError
from nntrace_torch.replay.postmortem import broken_update
from nntrace_torch.replay.recurrent import FUSED, unfused
from nntrace_torch.replay.statements import has_graph, is_broken, recomputation
from nntrace_torch.sources import UNKNOWN, Source, Sources, is_users

UNSEEN_GRADIENT = (
    "between sampled steps a part of the gradients is looked at: `nntrace run --every 1` looks at "
    "all, in the step itself, and finds the operation"
)


class Found(NamedTuple):
    """What a search has found.

    Attributes:
        where: `forward`, `loss`, `backward`, `update`, `data`, `weights` or `unknown`.
        birth: the operation, or the tensor it came in with.
        facts: what else is known, as keys of the `origin` event.
        call: the call of the model it was in.
    """

    where: str
    birth: Birth | None
    facts: dict[str, Any]
    call: Call | None = None

    @property
    def is_meant(self) -> bool:
        """Whether the program wrote the value there itself, as masks are made."""
        return self.birth is not None and self.birth.meant


class Search:
    """One search, in the step that is under way.

    Attributes:
        notes: what the replays could not do.
        remarks: what about them may be otherwise than in the step, each once.

    Args:
        steps: optimizer steps made before this one.
        stepping: whether the optimizer is in its step and evaluates a closure.
    """

    def __init__(
        self,
        models: Models,
        sources: Sources,
        optimizers: Optimizers,
        replayer: Replayer,
        calls: RootCalls,
        *,
        steps: int,
        stepping: bool,
    ) -> None:
        self._models = models
        self._sources = sources
        self._optimizers = optimizers
        self._replayer = replayer
        self._calls = calls
        # A closure is evaluated again after the optimizer has moved the weights.
        self._moved = stepping and calls.micro_batch > 0
        self._steps = steps
        self.notes: list[str] = []
        self.remarks: dict[str, None] = {}

    def weights(self) -> Found | None:
        """A parameter that was not finite before this step.

        Buffers are no witnesses: the forward that broke has written to running statistics.
        """
        for model in self._models.known:
            root = model.root
            if root is None:
                continue
            for name, parameter in root.named_parameters():
                if is_broken(parameter):
                    return self._broken_weight(model.join(name), parameter)
        return None

    def _broken_weight(self, path: str, weight: torch.Tensor) -> Found:
        finder = OriginFinder()
        finder.name(local_part(weight), path)
        birth = finder.birth_of(local_part(weight))
        facts: dict[str, Any] = {"parameter": path}
        optimizer = self._optimizers.holder(weight)
        if (self._steps == 0 and not self._moved) or optimizer is None:
            return Found("weights", birth, facts)
        what, by_gradient = broken_update(optimizer, weight)
        facts |= {"what": what, "step": self._steps - (not self._moved)}
        if by_gradient:
            self.notes.append(UNSEEN_GRADIENT)
            given = self._broken_input()  # data that are broken now were likely so a step ago
            return given or Found("backward", None, {**facts, "parameters": [path]})
        facts |= {"op": type(optimizer).__name__, **lines(self._sources.of(optimizer))}
        return Found("update", birth, facts)

    def _broken_input(self) -> Found | None:
        """What a model is given in this step and is not finite, unless it is meant to be."""
        for call in self._calls.kept:
            finder = OriginFinder()
            self._name_arguments(call, finder)
            birth = finder.birth_of(tensors_within((call.args, call.kwargs)))
            if birth is not None and not birth.meant:
                return Found("data", birth, self._batch_facts(call), call)
        return None

    def loss_function(
        self,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        frame: FrameType | None,
    ) -> Found | None:
        """Within a loss function of PyTorch, or in the targets it was given."""
        target = (*args, None, None)[1]
        facts = {"function": function.__name__, **lines(calling_line(frame))}
        finder = OriginFinder()
        if not is_broken((*args, *kwargs.values())):
            result = self._replay(function, args, kwargs, finder)
            birth = finder.birth_of(result) or finder.first
            return Found("loss", birth, {**facts, **self._batch_facts()}) if birth else None
        if is_broken(target):
            finder.name(target, "target")
            return Found("data", finder.birth_of(target), {**facts, **self._batch_facts()})
        return None

    def forward(
        self,
        value: torch.Tensor | None,
        frame: FrameType | None,
        given: Sequence[torch.Tensor] = (),
    ) -> Found:
        """By replaying the calls of the step, then the statements that gave the value.

        Args:
            value: what is not finite.
            frame: where it was seen.
            given: tensors it was computed from.
        """
        for number, call in enumerate(self._calls.kept):
            found = self.of_call(call, number)
            if found is not None and (found.where != "forward" or not found.is_meant):
                return found
        refused = bool(self.notes)
        broken = [tensor for tensor in given if is_broken(tensor)]
        for one in (*broken, *(() if value is None else (value,))):
            if (found := self._statements(one, frame)) is not None:
                return found
        place = lines(calling_line(frame))
        if value is not None and (birth := broken_node(value)) is not None:
            where = "loss" if self._calls.kept and not refused else "forward"
            return Found(where, birth, {**place, **self._batch_facts()})
        if not self.notes:
            self.notes.append("the replayed model is finite, and the loss could not be replayed")
        return Found("unknown", None, {**place, **self._batch_facts()})

    def _statements(self, value: torch.Tensor, frame: FrameType | None) -> Found | None:
        """By replaying the statements of the program that gave the value."""
        for holder, expression in expressions_holding(value, frame, is_broken):
            compute = recomputation(holder, expression, is_broken)
            if compute is None:
                continue
            finder = OriginFinder()
            _name_values(finder, holder)
            result = self._replay(compute, (), {}, finder, modules=self._roots())
            birth = finder.birth_of(tensors_within(result))
            if birth is None and result is None:  # it ended early
                birth = finder.first
            if birth is not None and not birth.computed:
                where = "forward" if self._is_of_model(birth) else "loss"
                return Found("data" if birth.given else where, birth, self._batch_facts())
        return None

    def _is_of_model(self, birth: Birth) -> bool:
        """Whether it was in a model, or there is no module that could be one."""
        if birth.module is None:
            return not self._calls.kept
        return self._models.owner_of(birth.module) is not None

    def late(self, loss: torch.Tensor | None, frame: FrameType | None, steps_ago: int) -> Found:
        """A loss of an earlier step: only the calls of this one and moved weights are left."""
        facts = {"step": self._steps - steps_ago, "steps_ago": steps_ago}
        if self.weights() is not None:
            self.notes.append(
                "the loss came from the accelerator when the optimizer had spread it to the weights"
            )
            found = Found("unknown", None, lines(calling_line(frame)))
        else:
            found = self.forward(loss, frame)
        return found._replace(facts={**found.facts, **facts})

    def of_call(self, call: Call, number: int = 0) -> Found | None:
        """What a replay of one call of the model shows."""
        finder = OriginFinder()
        with autocasting(call):
            self._name_arguments(call, finder)
            for model in self._models.known:
                for name, buffer in model.root.named_buffers() if model.root is not None else ():
                    finder.name(buffer, BUFFER + model.join(name))
            output = self._replay(call.compute, call.args, call.kwargs, finder, call=call)
        for generator in self._replayer.drew:
            self.remarks[f"the model draws from {generator}, whose state was not kept"] = None
        birth = finder.birth_of(tensors_within(output)) or (
            finder.first if output is None else None
        )
        if birth is not None and birth.op in FUSED:
            birth = self._cell_by_cell(call) or birth
        if birth is None and output is None:  # what came in is known without a replay
            birth = finder.birth_of(tensors_within((call.args, call.kwargs)))
            birth = None if birth is not None and birth.meant else birth
        if birth is None:
            return None
        facts = self._batch_facts(call)
        if number:
            facts["call"] = number + 1
        if birth.given.startswith(BUFFER):
            facts["parameter"] = birth.given.removeprefix(BUFFER)
            return Found("weights", birth, facts, call)
        return Found("data" if birth.given else "forward", birth, facts, call)

    def _cell_by_cell(self, call: Call) -> Birth | None:
        """The operation in a recurrent layer whose kernel hides its cells."""
        finder = OriginFinder()
        with unfused():
            output = self._replay(call.compute, call.args, call.kwargs, finder, call=call)
        return finder.birth_of(tensors_within(output))

    def _name_arguments(self, call: Call, finder: OriginFinder) -> None:
        for number, value in enumerate(call.args):
            for name, tensor in named_tensors(f"input.{number}", value):
                finder.name(tensor, name)
        for keyword, value in call.kwargs.items():
            for name, tensor in named_tensors(f"input.{keyword}", value):
                finder.name(tensor, name)

    def backward(self, loss: torch.Tensor | None, frame: FrameType | None) -> Found:
        """By replaying forward and backward of the calls, then of the whole loss."""
        for call in self._calls.kept:
            if call.gradients and not any(is_broken(g) for g in call.gradients.values()):
                finder = OriginFinder()
                both, module = self._there_and_back(call), original_of(call.compute)
                inner = [module] if isinstance(module, nn.Module) else []
                self._replay(
                    both, call.args, call.kwargs, finder, modules=inner, call=call, gradients=True
                )
                if finder.first is not None:
                    return Found("backward", finder.first, self._batch_facts(call), call)
        held = expressions_holding(loss, frame, has_graph) if loss is not None else ()
        for holder, expression in held:
            compute = recomputation(holder, expression, has_graph)
            if compute is None:
                continue
            finder = OriginFinder()
            _name_values(finder, holder)
            both = self._differentiated(compute)
            self._replay(both, (), {}, finder, modules=self._roots(), gradients=True)
            if finder.first is not None:
                return Found("backward", finder.first, {})
        if not self.notes and int(os.environ.get("WORLD_SIZE", "1")) > 1:
            self.notes.append("the replay is finite on this rank: look at the other ranks")
        elif not self.notes:
            self.notes.append("the backward pass could not be replayed")
        return Found("backward", None, {})

    def _there_and_back(self, call: Call) -> Callable[..., Any]:
        compute = original_of(call.compute)

        def both(*args: Any, **kwargs: Any) -> None:
            output = [t for t in tensors_within(compute(*args, **kwargs)) if t.requires_grad]
            arrived = [(call.gradients or {}).get(place) for place in range(len(output))]
            pairs = [(t, g) for t, g in zip(output, arrived, strict=True) if g is not None]
            if pairs and self._replayer.leaves:
                tensors, gradients = zip(*pairs, strict=True)
                torch.autograd.grad(tensors, self._replayer.leaves, gradients, allow_unused=True)

        return both

    def _differentiated(self, compute: Callable[[], Any]) -> Callable[[], Any]:
        def both() -> None:
            loss = compute()
            if isinstance(loss, torch.Tensor) and loss.requires_grad and self._replayer.leaves:
                torch.autograd.grad(
                    loss, self._replayer.leaves, torch.ones_like(loss), allow_unused=True
                )

        return both

    def _replay(
        self,
        compute: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        finder: OriginFinder,
        *,
        modules: Sequence[nn.Module] = (),
        call: Call | None = None,
        gradients: bool = False,
    ) -> Any:
        """A replay that may fail: the reason is noted and None returned."""
        try:
            with warnings.catch_warnings(), torch.autograd.set_detect_anomaly(True, False):
                warnings.simplefilter("ignore")
                return self._replayer.run(
                    compute,
                    args,
                    kwargs,
                    finder,
                    modules=modules,
                    gradients=gradients,
                    random_state=None if call is None else call.random,
                )
        except (Exception, ReplayRefusedError) as error:
            self.notes.append(f"the replay ended early: {type(error).__name__}: {error}"[:300])
            return None

    def _roots(self) -> list[nn.Module]:
        return [root for model in self._models.known if (root := model.root) is not None]

    def _batch_facts(self, call: Call | None = None) -> dict[str, Any]:
        count = self._calls.micro_batch
        number = count if call is None else call.micro_batch
        return {"micro_batch": number + 1} if count or number else {}


def lines(source: Source) -> dict[str, Any]:
    """A line of the program as keys of an event."""
    return {"file": source.file, "line": source.line, "source": source_text(source)}


def calling_line(frame: FrameType | None) -> Source:
    """The innermost line of the program."""
    while frame is not None and not is_users(frame.f_code.co_filename):
        frame = frame.f_back
    return UNKNOWN if frame is None else Source(frame.f_code.co_filename, frame.f_lineno)


def _name_values(finder: OriginFinder, frame: FrameType) -> None:
    """Call the tensors a frame holds by their names there."""
    for name, value in {**frame.f_globals, **frame.f_locals}.items():
        for own, tensor in named_tensors(name, value):
            finder.name(tensor, own)
