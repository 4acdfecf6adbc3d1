"""Watches calls of PyTorch's loss functions: what they received, from which line.

Predictions are seen as the loss function sees them, after whatever the program did to the
model's output. On steps that are not sampled only the batch size is noted.
"""

import inspect
import math
import weakref
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
import torch.nn.functional as functional

from nntrace.recorder import ForeignLoss, Recorder
from nntrace.schema import EventKind, Role
from nntrace_torch.patching import Undo, is_captured, outside_modes, read_number, wrap
from nntrace_torch.program.describe import can_sample, tensor_fields
from nntrace_torch.program.graphs import LossCall, head
from nntrace_torch.program.sources import Source, caller
from nntrace_torch.samples.keepsakes import kept_batch
from nntrace_torch.samples.plans import activation_plan
from nntrace_torch.samples.step import StepSample

# Their first two arguments are predictions and targets.
LOSS_FUNCTIONS = (
    "cross_entropy",
    "nll_loss",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "mse_loss",
    "l1_loss",
    "smooth_l1_loss",
    "huber_loss",
    "kl_div",
    "poisson_nll_loss",
    "soft_margin_loss",
    "multi_margin_loss",
    "multilabel_soft_margin_loss",
)
# Of these they may be given the wrong way round without harm.
_SYMMETRIC = ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss")
_CLASS_AXIS = ("cross_entropy", "nll_loss", "multi_margin_loss")
_PREDICTED = 8192  # elements of whole prediction rows that are kept


class LossObserver:
    """Notes the loss-function calls of training forwards.

    Attributes:
        sample: the step being sampled, or None.
        read: gives the number of each result.
        broke: told of a result that is not finite: function, loss, and what it was given.
        evaluated: told of each result without a gradient: function, reduction, loss, examples.
        replays: whether losses without gradients count, too: a replay has none.
        batch_size: the first axis of the last call's targets.
        is_light: whether only losses without gradients are observed.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._call_sites: set[tuple[str, Source]] = set()
        self._sites: dict[tuple[str, Role], int] = {}
        self._has_kept = False
        self.sample: StepSample | None = None
        self.replays = self.is_light = False
        self.read: Callable[[torch.Tensor], float] = _number
        self.broke: Callable[..., object] = lambda function, loss, args, kwargs: None
        self.evaluated: Callable[..., object] = lambda function, reduction, loss, examples: None
        self.batch_size: int | None = None
        self._returned: tuple[Callable[[], torch.Tensor | None], int, float] = (lambda: None, 0, 0)

    def number_of(self, loss: torch.Tensor) -> float | None:
        """What was read when a loss function returned this; None of anything else, and of what was
        written to since.
        """
        reference, version, number = self._returned
        return number if reference() is loss and loss._version == version else None

    def install(self) -> list[Undo]:
        """Watch the loss functions."""
        self._recorder.hooks.on_loss(self._recorder.guard(self._told))
        return [wrap(functional, name, partial(self._watched, name)) for name in LOSS_FUNCTIONS]

    def _watched(self, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        observe = self._recorder.guard(self._observer(name))

        def wrapper(*args: Any, **kwargs: Any) -> Any:
            result = original(*args, **kwargs)
            if not (self.is_light and torch.is_grad_enabled()) and not is_captured():
                observe(result, *args, **kwargs)
            return result

        return wrapper

    def _observer(self, name: str) -> Callable[..., None]:
        function = getattr(functional, name)
        signature = inspect.signature(function)

        def observe(
            loss: Any,
            input: Any = None,  # noqa: A002  callers give it by this name
            target: Any = None,
            *args: Any,
            **kwargs: Any,
        ) -> None:
            if not isinstance(target, torch.Tensor) or not isinstance(input, torch.Tensor):
                return
            if not can_sample(loss):
                return
            is_number, is_loss = loss.numel() == 1, loss.requires_grad or self.replays
            if not is_loss and (not is_number or not target.dim() or torch.is_grad_enabled()):
                return
            if is_number:
                number = self.read(loss)
                if not math.isfinite(number):
                    self.broke(function, loss, (input, target, *args), kwargs)
                if loss.requires_grad and loss.is_cpu:
                    self._returned = weakref.ref(loss), loss._version, number
            if not is_loss:
                self.evaluated(name, _reduction(kwargs), loss, int(target.shape[0]))
                return
            if (shape := target.shape) and shape[0]:
                self.batch_size = shape[0]
            is_foreign = self._recorder.hooks.in_foreign_loss
            if self.sample is not None and self.sample.is_open and not is_foreign:
                record = outside_modes(self._record) if self.replays else self._record
                given = signature.bind(input, target, *args, **kwargs)
                given.apply_defaults()
                pair = (input, target)
                if name in _SYMMETRIC and target.requires_grad and not input.requires_grad:
                    pair = (target, input)
                record(name, loss, *pair, given.arguments, self.sample)

        observe.__qualname__ = f"LossObserver.{name}"
        return observe

    def _record(
        self,
        name: str,
        loss: torch.Tensor,
        predictions: torch.Tensor,
        target: torch.Tensor,
        given: Mapping[str, Any],
        sample: StepSample,
    ) -> None:
        by_class = name in _CLASS_AXIS and predictions.dim() > 1
        axis = 1 if by_class else -1
        classes = int(predictions.shape[axis]) if predictions.dim() > 1 else 1
        self._announce(name, classes, predictions, target, given)
        self._take(name, loss, predictions, target, axis if by_class else None, classes, sample)

    def _told(self, call: ForeignLoss) -> None:
        """A loss function of a framework built on PyTorch was called in training."""
        loss, predictions, target = call.value, call.prediction, call.target
        if not all(isinstance(one, torch.Tensor) for one in (loss, predictions, target)):
            return
        if not can_sample(loss) or not loss.requires_grad:
            return
        if (shape := target.shape) and shape[0]:
            self.batch_size = shape[0]
        if self.sample is None or not self.sample.is_open:
            return
        source = Source(call.payload["file"], call.payload["line"])
        if (call.function, source) not in self._call_sites:
            self._call_sites.add((call.function, source))
            made_by = head(predictions)
            width = made_by.width or call.payload["head_width"]
            made = {"head": made_by.name, "head_width": width}
            self._recorder.add_event(EventKind.LOSS_CALL, {**call.payload, **made})
        axis = -1 if call.by_class else None
        classes = int(predictions.shape[-1]) if predictions.dim() > 1 else 1
        self._take(call.function, loss, predictions, target, axis, classes, self.sample)

    def _take(
        self,
        name: str,
        loss: torch.Tensor,
        predictions: torch.Tensor,
        target: torch.Tensor,
        class_axis: int | None,
        classes: int,
        sample: StepSample,
    ) -> None:
        """Sample what the first loss function of a step was given."""
        axis = -1 if class_axis is None else class_axis
        if loss.numel() == 1 and loss.grad_fn is not None:
            sample.add_loss_call(LossCall(name, loss.grad_fn, loss.detach()))
        if not (can_sample(predictions) and can_sample(target)) or not predictions.dim():
            return
        if "target" in sample.seen_roles:
            return  # several losses in one step: the first stands for the batch
        sample.seen_roles.add("target")
        predicted = predictions.detach()
        plan = activation_plan(tuple(predicted.shape), predicted.stride(), axis, sample.limit)
        site = self._site(name, Role.OUTPUT, predictions)
        sample.add(site, plan, predicted)
        if target.dim():
            flat = target.detach().reshape(target.shape[0], -1)
            targets = activation_plan(tuple(flat.shape), flat.stride(), 1, sample.limit)
            sample.add(self._site(name, Role.TARGET, target), targets, flat)
            sample.add_batch_values("targets", targets.view(flat, sample.turn).contiguous())
            if not self._has_kept:
                self._has_kept = True
                sample.keep(kept_batch(target, Role.TARGET, name))
        if class_axis is not None:
            sample.labels, sample.classes = target.detach(), classes
            sample.add_batch_values("predictions", _some_rows(predicted.movedim(axis, -1)))
        else:
            sample.add_batch_values("predictions", plan.view(predicted, 0).reshape(-1, 1))
        if loss.numel() == 1:
            sample.add_batch_values("loss_value", loss)
        sample.describe_batch(
            labels=not target.is_floating_point() and target.dtype is not torch.bool,
            classes=classes,
            loss_function=name,
        )

    def _announce(
        self,
        name: str,
        classes: int,
        predictions: torch.Tensor,
        target: torch.Tensor,
        given: Mapping[str, Any],
    ) -> None:
        """Record each call site once."""
        source = caller()
        if (name, source) in self._call_sites:
            return
        self._call_sites.add((name, source))
        made_by = head(predictions)
        payload = {
            "function": name,
            "reduction": _reduction(given),
            "classes": classes,
            "weighted": any(given.get(name) is not None for name in ("weight", "pos_weight")),
            "pos_weight": given.get("pos_weight") is not None,
            "label_smoothing": given.get("label_smoothing", 0.0),
            "shape": list(predictions.shape),
            "target_shape": list(target.shape),
            "head": made_by.name,
            "head_width": made_by.width,
            "file": source.file,
            "line": source.line,
        }
        self._recorder.add_event(EventKind.LOSS_CALL, payload)

    def _site(self, name: str, role: Role, tensor: torch.Tensor) -> int:
        key = (name, role)
        if key not in self._sites:
            fields = tensor_fields(tensor, caller())
            self._sites[key] = self._recorder.add_site(name, role, module_type=name, **fields)
        return self._sites[key]


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


def _number(loss: torch.Tensor) -> float:
    """Of a loss on the CPU; nobody waits for another."""
    return float(read_number(loss)) if loss.is_cpu else 0.0


def _reduction(given: Mapping[str, Any]) -> str:
    """The reduction, also where it is said in the old way: `size_average=False`."""
    if given.get("reduce") is False:
        return "none"
    if given.get("size_average") is False:
        return "sum"
    return str(given.get("reduction", "mean"))
