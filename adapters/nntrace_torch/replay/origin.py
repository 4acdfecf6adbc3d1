"""Where a non-finite value began: replays the step it appeared in, and records an `origin` event.

Looks, in this order, at the weights, at each call of the model, and at the program's statements
between the model and the loss. What could not be found out is said, never guessed.
"""

import os
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from types import FrameType
from typing import Any

import torch
from torch import nn

from nntrace.recorder import Recorder
from nntrace.schema import EventKind
from nntrace_torch.forward import ForwardSampler
from nntrace_torch.modules import Models
from nntrace_torch.optimizers import Optimizers
from nntrace_torch.ranks import local_part
from nntrace_torch.replay.calls import Call, RootCalls
from nntrace_torch.replay.engine import Replayer, original_of
from nntrace_torch.replay.finder import Birth, OriginFinder, source_text
from nntrace_torch.replay.guard import ReplayRefusedError, tensors_in
from nntrace_torch.replay.postmortem import broken_update
from nntrace_torch.replay.statements import (
    frames_holding,
    has_graph,
    is_broken,
    recomputation,
)
from nntrace_torch.sources import UNKNOWN, Source, Sources, is_users

_MAX_EPISODES = 8
_BUFFER = "buffer "  # before the path of a buffer, where it is one that a value came in with


class Investigator:
    """Answers a non-finite value with its origin, once for each time the values go bad."""

    def __init__(
        self,
        recorder: Recorder,
        models: Models,
        sources: Sources,
        optimizers: Optimizers,
        forward: ForwardSampler,
        replayer: Replayer,
        calls: RootCalls,
    ) -> None:
        self._recorder = recorder
        self._models = models
        self._sources = sources
        self._optimizers = optimizers
        self._forward = forward
        self._replayer = replayer
        self._calls = calls
        self._episodes = 0
        self._is_bad = False
        self._notes: list[str] = []

    def all_is_well(self) -> None:
        """A finite loss: what breaks next is a new story."""
        self._is_bad = False

    def loss_broke(self, loss: torch.Tensor, frame: FrameType | None) -> None:
        """A loss that `backward` is called on is not finite."""
        with self._episode("loss") as tell:
            if tell is not None:
                tell(*(self._weights() or self._forward_origin(loss, frame)))

    def function_broke(
        self,
        function: Callable[..., Any],
        loss: torch.Tensor,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        frame: FrameType | None,
    ) -> None:
        """A loss function of PyTorch returned a value that is not finite."""
        given = {"prediction": args[0] if args else None, "target": (*args, None, None)[1]}
        with self._episode("loss") as tell:
            if tell is None:
                return
            found = self._weights()
            if found is None and not is_broken((*args, *kwargs.values())):
                finder = OriginFinder()
                result = self._replay(function, args, kwargs, finder)
                birth = finder.birth_of(result) or finder.first
                facts = {"function": function.__name__, **_lines(_calling_line(frame))}
                found = ("loss", birth, facts) if birth else None
            elif found is None and is_broken(given["target"]):
                finder = OriginFinder()
                finder.name(given["target"], "target")
                facts = {"function": function.__name__, **_lines(_calling_line(frame))}
                found = "data", finder.birth_of(given["target"]), facts
            tell(*(found or self._forward_origin(given["prediction"], frame, loss)))

    def gradients_broke(
        self, names: Sequence[str], loss: torch.Tensor | None, frame: FrameType | None
    ) -> None:
        """The loss is finite and gradients are not: found before the optimizer acts."""
        with self._episode("gradient") as tell:
            if tell is None:
                return
            birth, facts = self._backward_origin(loss, frame)
            tell("backward", birth, {"parameters": list(names)[:8], **facts})

    def output_broke(self, call: Call, output: Any) -> None:
        """An evaluation's output holds a NaN."""
        with self._episode("output") as tell:
            if tell is None:
                return
            found = self._weights()
            if found is None:
                birth, facts = self._of_call(call, 0)
                found = _side(birth), birth, facts
            tell(found[0], found[1], {**found[2], "phase": "eval"})

    def name_of(self, parameter: torch.Tensor) -> str:
        """A parameter's recorded path, or its shape when no known model has it."""
        found = self._models.parameter(parameter)
        return found[0] if found is not None else f"a parameter of shape {tuple(parameter.shape)}"

    @contextmanager
    def _episode(self, seen_in: str) -> Iterator[Callable[..., None] | None]:
        """Gives what records the origin, or None when this story was told already."""
        if self._is_bad or self._episodes >= _MAX_EPISODES or self._replayer.active:
            yield None
            return
        self._is_bad = True
        self._episodes += 1
        self._notes = []
        started = time.perf_counter()

        def tell(where: str, birth: Birth | None, facts: dict[str, Any]) -> None:
            milliseconds = 1000 * (time.perf_counter() - started)
            payload = {
                "where": where if birth is not None or facts.get("parameter") else "unknown",
                "seen_in": seen_in,
                **(self._told(birth) if birth is not None else {}),
                **facts,
                "notes": self._notes,
                "replay_ms": round(milliseconds, 1),
            }
            self._recorder.add_event(EventKind.ORIGIN, payload, severity="error")

        with self._forward.paused():
            yield tell

    def _weights(self) -> tuple[str, Birth | None, dict[str, Any]] | None:
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

    def _broken_weight(
        self, path: str, weight: torch.Tensor
    ) -> tuple[str, Birth | None, dict[str, Any]]:
        finder = OriginFinder()
        finder.name(local_part(weight), path)
        birth = finder.birth_of(local_part(weight))
        facts: dict[str, Any] = {"parameter": path}
        optimizer = self._optimizers.holder(weight)
        if self._recorder.steps == 0 or optimizer is None:
            return "weights", birth, facts
        source = self._sources.of(optimizer)
        what = broken_update(optimizer, weight)
        facts |= {"op": type(optimizer).__name__, "what": what, **_lines(source)}
        return "update", birth, {**facts, "step": self._recorder.steps - 1}

    def _forward_origin(
        self, value: torch.Tensor, frame: FrameType | None, loss: torch.Tensor | None = None
    ) -> tuple[str, Birth | None, dict[str, Any]]:
        """By replaying the calls of the step, then the statements that gave the value."""
        for number, call in enumerate(self._calls.kept):
            birth, facts = self._of_call(call, number)
            if birth is not None and not (birth.meant and not birth.given):
                return _side(birth), birth, facts
        for holder, name in frames_holding(value, frame):
            compute = recomputation(holder, name, is_broken)
            if compute is None:
                continue
            finder = OriginFinder()
            _name_values(finder, holder)
            result = self._replay(compute, (), {}, finder, modules=self._roots())
            birth = finder.birth_of(result)
            if birth is not None and not birth.computed:
                return ("data" if birth.given else "loss"), birth, self._batch_facts()
        if not self._notes:
            self._notes.append("the replayed model is finite, and the loss could not be replayed")
        place = _calling_line(frame)
        return "unknown", None, {**_lines(place), **self._batch_facts()}

    def _of_call(self, call: Call, number: int) -> tuple[Birth | None, dict[str, Any]]:
        """What a replay of one call of the model shows."""
        finder = OriginFinder()
        with ExitStack() as stack:
            for device, dtype in call.autocast:
                stack.enter_context(torch.autocast(device, dtype, cache_enabled=False))
            self._name_arguments(call, finder)
            for model in self._models.known:
                for name, buffer in model.root.named_buffers() if model.root is not None else ():
                    finder.name(buffer, _BUFFER + model.join(name))
            output = self._replay(call.compute, call.args, call.kwargs, finder, call=call)
        birth = finder.birth_of(_flat(output))
        if output is None:  # the replay ended early, or was refused: the arguments still tell
            birth = finder.first or finder.birth_of((*call.args, *call.kwargs.values()))
        facts = self._batch_facts(call)
        if birth is not None and number:
            facts["call"] = number + 1
        if birth is not None and birth.given.startswith(_BUFFER):
            facts["parameter"] = birth.given.removeprefix(_BUFFER)
        return birth, facts

    def _name_arguments(self, call: Call, finder: OriginFinder) -> None:
        for number, value in enumerate(call.args):
            for tensor in tensors_in(value):
                finder.name(tensor, f"input.{number}")
        for name, value in call.kwargs.items():
            for tensor in tensors_in(value):
                finder.name(tensor, f"input.{name}")

    def _backward_origin(
        self, loss: torch.Tensor | None, frame: FrameType | None
    ) -> tuple[Birth | None, dict[str, Any]]:
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
                    return finder.first, self._batch_facts(call)
        for holder, name in frames_holding(loss, frame) if loss is not None else ():
            compute = recomputation(holder, name, has_graph)
            if compute is None:
                continue
            finder = OriginFinder()
            _name_values(finder, holder)
            both = self._differentiated(compute)
            self._replay(both, (), {}, finder, modules=self._roots(), gradients=True)
            if finder.first is not None:
                return finder.first, {}
        if not self._notes and int(os.environ.get("WORLD_SIZE", "1")) > 1:
            self._notes.append("the replay is finite on this rank: look at the other ranks")
        elif not self._notes:
            self._notes.append("the backward pass could not be replayed")
        return None, {}

    def _there_and_back(self, call: Call) -> Callable[..., Any]:
        compute = original_of(call.compute)

        def both(*args: Any, **kwargs: Any) -> None:
            output = [t for t in tensors_in(_flat(compute(*args, **kwargs))) if t.requires_grad]
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
            self._notes.append(f"the replay ended early: {type(error).__name__}: {error}"[:300])
            return None

    def _roots(self) -> list[nn.Module]:
        return [root for model in self._models.known if (root := model.root) is not None]

    def _batch_facts(self, call: Call | None = None) -> dict[str, Any]:
        count = self._calls.micro_batch
        number = count if call is None else call.micro_batch
        return {"micro_batch": number + 1} if count or number else {}

    def _told(self, birth: Birth) -> dict[str, Any]:
        """The payload of an origin."""
        source = birth.source
        path, module_type = "", ""
        if birth.module is not None:
            model = self._models.owner_of(birth.module)
            path = (model.path_of(birth.module) if model is not None else None) or ""
            module_type = type(birth.module).__name__
            if source is UNKNOWN:
                source = self._sources.of(birth.module)
        return {
            "kind": birth.kind,
            "op": birth.op,
            "what": birth.what,
            "given": birth.given.removeprefix(_BUFFER),
            "module": path,
            "module_type": module_type,
            **_lines(source),
            "function": birth.function,
            "execution": birth.execution,
            "index": list(birth.index),
            "operands": list(birth.operands),
            "derivative": birth.node,
        }


def _side(birth: Birth | None) -> str:
    if birth is not None and birth.given.startswith(_BUFFER):
        return "weights"
    return "data" if birth is not None and birth.given else "forward"


def _flat(output: Any) -> list[torch.Tensor]:
    if isinstance(output, dict):
        output = tuple(output.values())
    return list(tensors_in(output))


def _lines(source: Source) -> dict[str, Any]:
    return {"file": source.file, "line": source.line, "source": source_text(source)}


def _calling_line(frame: FrameType | None) -> Source:
    while frame is not None and not is_users(frame.f_code.co_filename):
        frame = frame.f_back
    return UNKNOWN if frame is None else Source(frame.f_code.co_filename, frame.f_lineno)


def _name_values(finder: OriginFinder, frame: FrameType) -> None:
    """Call the tensors a frame holds by their names there."""
    for name, value in {**frame.f_globals, **frame.f_locals}.items():
        for tensor in tensors_in(value):
            finder.name(tensor, name)
