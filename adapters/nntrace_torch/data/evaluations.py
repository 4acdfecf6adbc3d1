"""Evaluations: passes over data without gradients, between optimizer steps.

Only calls of the outermost modules that are trained are seen; each costs a few microseconds. A pass
ends when training goes on.
"""

import weakref
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import chain
from typing import NamedTuple

import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.parameter import is_lazy

from nntrace.adapter import described
from nntrace.recorder import Recorder, is_recorded, moments
from nntrace.schema import EventKind
from nntrace_torch.data.batches import example_hashes, input_plan
from nntrace_torch.data.lasting_dropout import LastingDropout
from nntrace_torch.data.loaders import LoaderObserver
from nntrace_torch.patching import Undo
from nntrace_torch.program.containers import tensors_in
from nntrace_torch.program.modes import modes_of
from nntrace_torch.program.module_tree import modules_of, parameters_of
from nntrace_torch.program.ranks import local_part
from nntrace_torch.program.sources import UNKNOWN, Source, call_path, caller
from nntrace_torch.program.tensors import sampled_part
from nntrace_torch.replay.call import Call
from nntrace_torch.samples.batch_values import KEPT_OF_HASHES
from nntrace_torch.samples.modules import Model, Models, unwrapped

_ELEMENTS = 4096
_WEIGHTS, _OF_EACH = 8, 64  # parameters, and elements of each, that show whether any has changed
# Examples whose hashes are kept: of the first call of a pass, of further ones, and of all. Fewer
# than 32 large ones would be hashed by other elements than those of a batch of 32.
_OF_FIRST, _OF_FURTHER, _MOST_HASHES = 64, 32, 128
_WATCHED = 8  # pauses of the training whose first call in evaluation mode is watched for dropout


class _Key(NamedTuple):
    """What tells passes apart: the model or part of it, the loader, the calling lines."""

    model: str
    part: str
    loader: int | None
    place: int


@dataclass(slots=True)
class _Pass:
    """The calls of one model since training paused; `modes` and `source` are the first call's.

    Passes over the same data have the same `group`, as far as loader and lines tell. Of a model
    with active layers `unchanged` counts the passes since its weights last changed, and `is_beside`
    says whether a model that is trained was given the same input in that step.
    """

    number: int
    group: int
    modes: dict[str, int | bool] = field(default_factory=dict)
    source: Source = UNKNOWN
    shape: tuple[int, ...] = ()
    inputs: list[torch.Tensor] = field(default_factory=list)
    calls: int = 0
    repeated: int = 0
    last_input: Callable[[], torch.Tensor | None] = lambda: None
    examples: int = 0
    loss_function: str | None = None
    reduction: str | None = None
    loss_sum: float | torch.Tensor = 0.0
    loss_examples: int = 0
    dropout: tuple[str, Source] = ("", UNKNOWN)
    unchanged: int = 0
    is_beside: bool = False
    norms_are_fresh: bool = False
    hashes: list[torch.Tensor] = field(default_factory=list)
    is_held_out: bool = False


class EvaluationObserver:
    """Follows the forwards without gradients of the models that are trained.

    Attributes:
        open: the passes since training paused.
        calls: gives the calls of the step that is made.
        compiles: whether the program compiles models: their calls are not watched for dropout.
    """

    def __init__(self, recorder: Recorder, models: Models, loaders: LoaderObserver) -> None:
        self._recorder = recorder
        self._models = models
        self._loaders = loaders
        self.calls: Callable[[], Iterable[Call]] = lambda: ()
        self._passes: dict[_Key, int] = {}
        self._weights: dict[_Key, tuple[bytes, int]] = {}
        self.open: dict[_Key, _Pass] = {}
        self._current: _Pass | None = None
        self._dropout = LastingDropout(recorder)
        self._watched = 0
        self._is_watched = False
        self.compiles = False

    def begins(self, call: Call) -> Undo | None:
        """An outermost module is about to be called without gradients."""
        module = call.compute
        if self.open or self._watched >= _WATCHED or self.compiles:
            return None
        if not isinstance(module, nn.Module) or module.training:
            return None
        self._watched += 1
        self._is_watched = True
        return self._dropout.watch()

    def called(self, call: Call) -> None:
        """An outermost module was called without gradients."""
        if not isinstance(call.compute, nn.Module):
            return
        inputs = tensors_in(call.arguments)
        if inputs and inputs[0].is_meta:
            return  # asked for its shapes alone, as Keras does of each part to build a model
        module = unwrapped(call.compute)
        model = self._models.owner_of(module)
        if model is None:
            return
        part = "" if module is model.root else model.path_of(module) or ""
        key = _Key(model.prefix, part, self._loaders.loader, call_path())
        found = self._current = self.open.get(key)
        if found is None:
            number = self._passes.get(key, 0)
            self._passes[key] = number + 1
            group = list(self._passes).index(key)
            found = self._current = self.open[key] = _Pass(number, group)
            if is_recorded(number):
                found.modes, found.source = _modes(model, module, call), caller()
                found.is_held_out = self._loaders.is_held_out
                if found.modes["dropout_active"] or found.modes["norm_active"]:
                    found.unchanged = self._unchanged(key, number, module)
                found.norms_are_fresh = found.modes["norm_inactive"] > 0 and _are_fresh(module)
        found.calls += 1
        if self._is_watched:
            self._is_watched = False
            found.dropout = self._dropout.name, self._dropout.source
        # Calls 1, 2, 4, 8, …: spread over the pass, whose data may be in some order.
        if is_recorded(found.number) and found.calls & (found.calls - 1) == 0:
            _sample(found, inputs)
            if len(inputs) == 1 and (found.number == 0 or key.loader is None):
                _hash(found, inputs[0])
        if not inputs:
            return
        # The same batch again: predictions drawn repeatedly show how certain a model is.
        found.repeated += found.last_input() is inputs[0]
        found.last_input = weakref.ref(inputs[0])
        if inputs[0].dim():
            found.examples += int(inputs[0].shape[0])

    def _unchanged(self, key: _Key, number: int, module: nn.Module) -> int:
        weights = _some_weights(module)
        known, since = self._weights.get(key, (weights, number))
        self._weights[key] = weights, since if known == weights else number
        return number - self._weights[key][1]

    def loss(self, function: str, reduction: str, loss: torch.Tensor, examples: int) -> None:
        """A loss function returned a loss without a gradient."""
        found = self._current
        if found is None or not is_recorded(found.number):
            return
        if found.loss_function is None:
            found.loss_function, found.reduction = function, reduction
        if found.loss_function == function:
            value = loss.detach()
            # On an accelerator the sum stays there, so that nothing waits before the pass is over.
            number = float(value) if value.device.type == "cpu" else value
            found.loss_sum = found.loss_sum + number * (1 if reduction == "sum" else examples)
            found.loss_examples += examples

    def end(self) -> None:
        """Training goes on: record the passes since it paused."""
        if not self.open:
            return
        for key, found in self.open.items():
            if is_recorded(found.number):
                if found.unchanged:
                    found.is_beside = self._is_given_to_another(found.last_input())
                self._record(key, found)
        self.open.clear()
        self._current = None

    def _is_given_to_another(self, given: torch.Tensor | None) -> bool:
        """Whether a model that is trained was called with this in the same step."""
        if given is None:
            return False
        training = (call.arguments for call in self.calls() if call.gradients_enabled)
        return any(tensor is given for tensor in chain.from_iterable(map(tensors_in, training)))

    def _record(self, key: _Key, found: _Pass) -> None:
        examples = found.loss_examples
        payload = {
            "model": key.model,
            "part": key.part,
            "loader": key.loader,
            "group": found.group,
            "number": found.number,
            "calls": found.calls,
            "repeated": found.repeated,
            "examples": found.examples,
            **found.modes,
            "unchanged": found.unchanged,
            "is_beside": found.is_beside,
            "norms_are_fresh": found.norms_are_fresh,
            "input_shape": list(found.shape),
            **(moments("input", torch.cat(found.inputs).cpu().numpy()) if found.inputs else {}),
            "loss_function": found.loss_function,
            "reduction": found.reduction,
            "loss": float(found.loss_sum) / examples if examples else None,
            **found.source.place,
        }
        if found.hashes:
            hashes = torch.cat([one.cpu() for one in found.hashes])[:_MOST_HASHES] & KEPT_OF_HASHES
            payload["example_hashes"] = hashes.tolist()
            payload["is_held_out"] = found.is_held_out
        function, source = found.dropout
        if function:
            where = {"dropout_file": source.file, "dropout_line": source.line}
            payload |= {"dropout_function": function, **where}
        self._recorder.add_event(EventKind.EVALUATION, payload)


def _modes(model: Model, module: nn.Module, call: Call) -> dict[str, int | bool]:
    """The modes in a call that is over."""
    description = described(module)
    if description is None:
        return modes_of(model, module)
    return description.modes(module, training=bool(call.kwargs.get("training")))


def _some_weights(module: nn.Module) -> bytes:
    """Some elements of some parameters: others after anything has moved the model."""
    parameters = list(parameters_of(module))
    chosen = parameters[:: -(-len(parameters) // _WEIGHTS) or 1]
    parts = [sampled_part(local_part(p)) for p in chosen if not is_lazy(p)]
    values = [p.reshape(-1)[:_OF_EACH].float().cpu() for p in parts if p is not None]
    return torch.cat(values).numpy().tobytes() if values else b""


def _are_fresh(module: nn.Module) -> bool:
    """Whether all norms that go by running statistics have those they were built with."""
    norms = [layer for layer in modules_of(module) if isinstance(layer, _NormBase)]
    statistics = [
        (norm.running_mean, norm.running_var)
        for norm in norms
        if norm.running_mean is not None and norm.running_var is not None
        if not norm.training and not is_lazy(norm.running_mean)
    ]
    return bool(statistics) and not any(
        bool(mean.any()) or bool(variance.ne(1.0).any()) for mean, variance in statistics
    )


def _sample(found: _Pass, inputs: Iterable[torch.Tensor]) -> None:
    """Keep a part of the first floating-point input of a call."""
    for tensor in inputs:
        part = sampled_part(tensor) if tensor.is_floating_point() else None
        if part is None or not part.dim():
            continue
        found.shape = found.shape or tuple(tensor.shape)
        # A pass may be one call: the same places of all its examples would not stand for them.
        view = input_plan(part, _ELEMENTS, staggered=True).view(part, found.calls)
        found.inputs.append(view.to(torch.float32, copy=True).reshape(-1))
        return


def _hash(found: _Pass, given: torch.Tensor) -> None:
    """Keep hashes of some examples of a call, spread over it: its data may be in some order."""
    part = sampled_part(given)
    if part is not None and part.dim() > 1:
        wanted = _OF_FURTHER if found.hashes else _OF_FIRST
        found.hashes.append(example_hashes(part[:: -(-part.shape[0] // wanted) or 1]))
