"""Passes over data without gradients between optimizer steps: how the models were evaluated.

Only calls of the outermost modules that are trained are seen, and they alone pay: a few
microseconds each. A pass ends when training goes on.
"""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from nntrace.recorder import Recorder, is_landmark
from nntrace.schema import EventKind
from nntrace_torch.describe import sampled_part
from nntrace_torch.modes import modes_of
from nntrace_torch.modules import Models, unwrapped
from nntrace_torch.plans import activation_plan
from nntrace_torch.replay.calls import Call
from nntrace_torch.replay.guard import tensors_in
from nntrace_torch.sources import UNKNOWN, Source, caller

_MANY = 64  # passes of a model; beyond them only some are recorded
_ELEMENTS = 4096


@dataclass(slots=True)
class _Pass:
    """The calls of one model since training paused; `modes` and `source` are of the first."""

    number: int
    modes: dict[str, int | bool] = field(default_factory=dict)
    source: Source = UNKNOWN
    inputs: dict[str, float] = field(default_factory=dict)
    calls: int = 0
    examples: int = 0
    loss_function: str | None = None
    reduction: str | None = None
    loss_sum: float | torch.Tensor = 0.0
    loss_examples: int = 0


class EvaluationObserver:
    """Follows the forwards without gradients of the models that are trained."""

    def __init__(self, recorder: Recorder, models: Models) -> None:
        self._recorder = recorder
        self._models = models
        self._passes: dict[str, int] = {}
        self._open: dict[str, _Pass] = {}
        self._current: _Pass | None = None

    def called(self, call: Call) -> None:
        """An outermost module was called without gradients."""
        if not isinstance(call.compute, nn.Module):
            return
        module = unwrapped(call.compute)
        model = self._models.owner_of(module)
        if model is None:
            return
        found = self._current = self._open.get(model.prefix)
        inputs = tensors_in((*call.args, *call.kwargs.values()))
        if found is None:
            number = self._passes.get(model.prefix, 0)
            self._passes[model.prefix] = number + 1
            found = self._current = self._open[model.prefix] = _Pass(number)
            if _is_recorded(number):
                found.modes, found.source = modes_of(model, module), caller()
                found.inputs = _moments(inputs)
        found.calls += 1
        if inputs and inputs[0].dim():
            found.examples += int(inputs[0].shape[0])

    def loss(self, function: str, reduction: str, loss: torch.Tensor, examples: int) -> None:
        """A loss function returned a number that has no gradient."""
        found = self._current
        if found is None or not _is_recorded(found.number):
            return
        if found.loss_function is None:
            found.loss_function, found.reduction = function, reduction
        if found.loss_function == function:
            value = loss.detach()
            # On an accelerator nothing waits before the pass is over.
            number = float(value) if value.device.type == "cpu" else value
            found.loss_sum = found.loss_sum + number * examples
            found.loss_examples += examples

    def end(self) -> None:
        """Training goes on: record the passes since it paused."""
        if not self._open:
            return
        for prefix, found in self._open.items():
            if _is_recorded(found.number):
                self._record(prefix, found)
        self._open.clear()
        self._current = None

    def _record(self, prefix: str, found: _Pass) -> None:
        examples = found.loss_examples
        payload = {
            "model": prefix,
            "number": found.number,
            "calls": found.calls,
            "examples": found.examples,
            **found.modes,
            **found.inputs,
            "loss_function": found.loss_function,
            "reduction": found.reduction,
            "loss": float(found.loss_sum) / examples if examples else None,
            "file": found.source.file,
            "line": found.source.line,
        }
        self._recorder.add_event(EventKind.EVALUATION, payload)


def _is_recorded(number: int) -> bool:
    return number < _MANY or is_landmark(number)


def _moments(inputs: Any) -> dict[str, float]:
    """Mean and standard deviation of the first floating-point input, from a part of it."""
    for tensor in inputs:
        part = sampled_part(tensor) if tensor.is_floating_point() else None
        if part is None or not part.dim() or not part.numel():
            continue
        plan = activation_plan(tuple(part.shape), part.stride(), -1, _ELEMENTS)
        values = plan.view(part.detach(), 0).float()
        return {
            "input_mean": float(values.mean()),
            "input_std": float(values.std(correction=0)),
        }
    return {}
