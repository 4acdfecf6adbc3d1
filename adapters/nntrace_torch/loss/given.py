"""Samples the loss-function calls of a sampled step: predictions, targets, and the calling line.

Of several calls from one line, such as one per time step, only the first is recorded, unless
another layer made the predictions.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from nntrace.recorder import ForeignLoss, Recorder
from nntrace.schema import EventKind, Role
from nntrace_torch.axes.softmaxes import is_over
from nntrace_torch.loss.flipped_masks import FlipWatch
from nntrace_torch.loss.graph import LossCall, head, is_doubled
from nntrace_torch.patching import read_number
from nntrace_torch.program.describe import tensor_fields
from nntrace_torch.program.graphs import operands, operation
from nntrace_torch.program.sources import Source, call_path, caller
from nntrace_torch.program.tensors import can_sample
from nntrace_torch.samples.batch_values import BatchValues
from nntrace_torch.samples.keepsakes import kept_batch
from nntrace_torch.samples.plans import activation_plan
from nntrace_torch.samples.step import StepSample

_CLASS_AXIS = ("cross_entropy", "nll_loss", "multi_margin_loss")
_PREDICTED = 8192  # elements of the prediction rows that are kept
_MOST = 8  # losses recorded in a step
_MOST_CLASSES = 1000  # whose weights are told
_DEEP = 12  # operations searched between a loss function and a layer


class LossSampler:
    """Samples the arguments of loss functions, and announces each line that calls one."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._flips = FlipWatch(recorder)
        self._announced: set[tuple[str, Source]] = set()
        self._sites: dict[tuple[str, Role], int] = {}
        self._has_kept = False

    def add(
        self,
        name: str,
        loss: torch.Tensor,
        predictions: torch.Tensor,
        target: torch.Tensor,
        given: Mapping[str, Any],
        sample: StepSample,
    ) -> None:
        """Sample a call of one of PyTorch's loss functions.

        Args:
            name: the function's name.
            loss: the result of the call.
            predictions: of any shape.
            target: of any shape.
            given: all arguments by name.
            sample: the step being sampled.
        """
        _count(name, loss, sample)
        if (path := _path(name, predictions, sample)) is not None:
            by_class = name in _CLASS_AXIS and predictions.dim() > 1
            ignored = given.get("ignore_index")
            call = _Call(name, path, loss, predictions, target, 1 if by_class else None, ignored)
            self._announce(call, given)
            self._take(call, sample)
            self._flips.look(name, path, predictions, target, ignored)

    def add_foreign(self, call: ForeignLoss, sample: StepSample) -> None:
        """Sample a call of a loss function of a framework built on PyTorch."""
        predictions = call.prediction
        _count(call.function, call.value, sample)
        if (path := _path(call.function, predictions, sample)) is None:
            return
        source = Source(call.payload["file"], call.payload["line"])
        if (path, source) not in self._announced:
            self._announced.add((path, source))
            made_by = head(predictions)
            width = made_by.width or call.payload["head_width"]
            made = {"path": path, "head": made_by.name, "head_width": width}
            made["doubled"] = call.payload["doubled"] or is_doubled(predictions)
            self._recorder.add_event(EventKind.LOSS_CALL, {**call.payload, **made})
        axis = -1 if call.by_class else None
        taken = _Call(call.function, path, call.value, predictions, call.target, axis)
        self._take(taken, sample)

    def _take(self, call: "_Call", sample: StepSample) -> None:
        predictions, target = call.predictions, call.target
        if not (can_sample(predictions) and can_sample(target)) or not predictions.dim():
            return
        is_first = "target" not in sample.seen_roles
        sample.seen_roles.add("target")
        batch = sample.batch if is_first else sample.add_further_loss()
        self._take_predictions(call, sample, batch)
        if target.dim():
            self._take_target(call, sample, batch)
            if not is_first:
                batch.describe(batch_size=int(target.shape[0]))
        if is_first and call.class_axis is not None:
            sample.labels, sample.classes = target.detach(), call.classes
        elif is_first and target.is_floating_point() and target.dim() > 1:
            sample.labels, sample.classes = target.detach(), 1  # perhaps the next inputs
        if call.loss.numel() == 1:
            batch.add("loss_value", call.loss)
        batch.describe(
            labels=not target.is_floating_point() and target.dtype is not torch.bool,
            ignored=call.ignored,
            classes=call.classes,
            loss_function=call.name,
            loss_path=call.path,
        )

    def _take_predictions(self, call: "_Call", sample: StepSample, batch: BatchValues) -> None:
        predicted, axis = call.predictions.detach(), call.class_axis
        units = -1 if axis is None else axis
        plan = activation_plan(tuple(predicted.shape), predicted.stride(), units, sample.limit)
        sample.add(self._site(call, Role.OUTPUT, call.predictions), plan, predicted)
        if axis is None:
            batch.add("predictions", plan.view(predicted, 0).reshape(-1, 1))
        else:
            batch.add("predictions", _some_rows(predicted.movedim(axis, -1)))

    def _take_target(self, call: "_Call", sample: StepSample, batch: BatchValues) -> None:
        target = call.target
        flat = target.detach().reshape(target.shape[0], -1)
        plan = activation_plan(tuple(flat.shape), flat.stride(), 1, sample.limit)
        sample.add(self._site(call, Role.TARGET, target), plan, flat)
        batch.add("targets", plan.view(flat, sample.turn).contiguous())
        is_row = call.class_axis in (-1, target.dim() - 1) and target.is_floating_point()
        if is_row and target.shape[-1] == call.classes and plan.layout.units == flat.shape[1]:
            batch.describe(classes_by_row=call.classes)
        if not self._has_kept:
            self._has_kept = True
            places = _places(target, sample.batch.examples)
            sample.keep(kept_batch(target, Role.TARGET, call.path, places))

    def _announce(self, call: "_Call", given: Mapping[str, Any]) -> None:
        """Record each pair of loss path and calling line once."""
        source = caller()
        if (call.path, source) in self._announced:
            return
        self._announced.add((call.path, source))
        made_by, axis = head(call.predictions), call.class_axis
        payload = {
            "function": call.name,
            "path": call.path,
            "reduction": reduction(given),
            "classes": call.classes,
            "weighted": any(given.get(key) is not None for key in ("weight", "pos_weight")),
            "pos_weight": given.get("pos_weight") is not None,
            "class_weights": _class_weights(call, given),
            "label_smoothing": given.get("label_smoothing", 0.0),
            "shape": list(call.predictions.shape),
            "target_shape": list(call.target.shape),
            "learned_target": call.target.requires_grad,
            "head": made_by.name,
            "head_width": made_by.width,
            "over_classes": None if axis is None else is_over(call.predictions, axis),
            **source.place,
        }
        if "ignore_index" in given:
            payload["ignore_index"] = int(given["ignore_index"])
        self._recorder.add_event(EventKind.LOSS_CALL, payload)

    def _site(self, call: "_Call", role: Role, tensor: torch.Tensor) -> int:
        key = (call.path, role)
        if key not in self._sites:
            fields = {"module_type": call.name, **tensor_fields(tensor, caller())}
            self._sites[key] = self._recorder.add_site(call.path, role, **fields)
        return self._sites[key]


def _class_weights(call: "_Call", given: Mapping[str, Any]) -> dict[str, float]:
    """What each class weighs, by its number; empty where all weigh the same, or it is unknown."""
    weights, positive = given.get("weight"), given.get("pos_weight")
    if isinstance(positive, torch.Tensor) and positive.numel() == 1:
        return {"0": 1.0, "1": float(read_number(positive))}
    if call.class_axis is None or not isinstance(weights, torch.Tensor):
        return {}
    if weights.dim() != 1 or len(weights) > _MOST_CLASSES:
        return {}
    return {str(label): weight for label, weight in enumerate(weights.detach().tolist())}


@dataclass(frozen=True, slots=True)
class _Call:
    """A call of a loss function.

    Attributes:
        name: of the function.
        path: of its sites.
        loss: what it returned.
        class_axis: the axis of the predictions over which classes exclude each other, or None.
        ignored: the label that it leaves out, if it leaves out any.
    """

    name: str
    path: str
    loss: torch.Tensor
    predictions: torch.Tensor
    target: torch.Tensor
    class_axis: int | None
    ignored: int | None = None

    @property
    def classes(self) -> int:
        """The width of the predictions."""
        axis = -1 if self.class_axis is None else self.class_axis
        return int(self.predictions.shape[axis]) if self.predictions.dim() > 1 else 1


def _count(name: str, loss: torch.Tensor, sample: StepSample) -> None:
    """Count a call as a term of the objective, recorded or not."""
    if loss.numel() == 1 and loss.grad_fn is not None:
        sample.add_loss_call(LossCall(name, loss.grad_fn, loss.detach()))


def _places(target: torch.Tensor, examples: int | None) -> int:
    """The number of consecutive targets per example, if targets were flattened; else 1."""
    if not examples or target.dim() != 1 or len(target) % examples:
        return 1
    return max(1, len(target) // examples)


def _path(name: str, predictions: torch.Tensor, sample: StepSample) -> str | None:
    """The path of a call's sites; None if it is recorded already, or after too many losses."""
    paths = sample.loss_paths
    if len(paths) == _MOST:
        return None
    key = (name, call_path(), predictions.dim(), _last_layer(predictions))
    if key in paths:
        return None
    count = 1 + sum(known[0] == name for known in paths)
    paths[key] = name if count == 1 else f"{name}#{count}"
    return paths[key]


def _last_layer(predictions: torch.Tensor) -> int | None:
    """The id of a parameter of the layer that made the predictions; None if none is found."""
    node = predictions.grad_fn
    for _ in range(_DEEP):
        if node is None:
            return None
        children = list(filter(None, operands(node)))
        for child in children:
            leaf: Any = operands(child)[0] if operation(child) == "T" else child
            if leaf is not None and operation(leaf) == "AccumulateGrad":
                return id(leaf.variable)
        if len(children) != 1:
            return None
        node = children[0]
    return None


def _some_rows(predicted: torch.Tensor) -> torch.Tensor:
    """Rows [n, classes], evenly spread over all axes but the last; only they are copied."""
    *places, classes = predicted.shape
    total, kept = math.prod(places), max(2, _PREDICTED // classes)
    step = max(1, total // kept)
    if predicted.dim() == 2 or predicted.is_contiguous():
        return predicted.view(-1, classes)[::step][:kept]
    row = torch.arange(0, total, step, device=predicted.device)[:kept]
    index: list[torch.Tensor] = []  # not torch.unravel_index, which imports sympy: half a second
    for size in reversed(places):
        index.insert(0, row % size)
        row = row // size
    return predicted[tuple(index)]


def reduction(given: Mapping[str, Any]) -> str:
    """The reduction's name, from the deprecated `size_average` and `reduce` as well."""
    if given.get("reduce") is False:
        return "none"
    if given.get("size_average") is False:
        return "sum"
    return str(given.get("reduction", "mean"))
