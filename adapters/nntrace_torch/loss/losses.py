"""Watches calls of PyTorch's loss functions: their arguments, and the calling line.

Predictions are seen as the loss function sees them, after whatever the program did to the
model's output. In steps that are not sampled only the batch size and the loss's number are noted.
"""

import inspect
import math
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as functional

from nntrace.recorder import ForeignLoss, Recorder
from nntrace_torch.loss.given import LossSampler, reduction
from nntrace_torch.patching import Undo, is_captured, outside_modes, read_number, wrap
from nntrace_torch.program.tensors import as_plain, can_sample
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
# In these the two arguments may be swapped without harm.
_SYMMETRIC = ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss")
_are_recorded = torch.is_grad_enabled


class LossObserver:
    """Notes the loss-function calls of training forwards.

    Attributes:
        sample: the step being sampled, or None.
        read: reads the number of a loss.
        broke: called with each result that is not finite: function, loss, and its arguments.
        evaluated: called with each result without a gradient: name, reduction, loss, examples.
        replays: whether losses without gradients count, too: a replay has no gradients.
        is_replaying: says whether a replay runs, one whose losses do not count included.
        batch_size: the first axis of the last call's targets.
        is_light: whether only losses without gradients are observed.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._sampler = LossSampler(recorder)
        self.sample: StepSample | None = None
        self.replays = self.is_light = False
        self.is_replaying: Callable[[], bool] = lambda: False
        self.read: Callable[[torch.Tensor], float] = _number
        self.broke: Callable[..., object] = lambda function, loss, args, kwargs: None
        self.evaluated: Callable[..., object] = lambda function, reduction, loss, examples: None
        self.batch_size: int | None = None
        self._returned: tuple[Callable[[], torch.Tensor | None], int, float] = (lambda: None, 0, 0)

    def number_of(self, loss: torch.Tensor) -> float | None:
        """The number that was read when a loss function returned this tensor.

        None unless it is the last result of a loss function, not written to since.
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
            if not (self.is_light and _are_recorded()) and not is_captured():
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
                self.evaluated(name, reduction(kwargs), loss, int(target.shape[0]))
                return
            if (shape := target.shape) and shape[0]:
                self.batch_size = shape[0]
            is_foreign = self._recorder.hooks.in_foreign_loss
            if self.sample is not None and self.sample.is_open and not is_foreign:
                if self.is_replaying() and not self.replays:
                    return  # this replay computes a loss that has been sampled already
                add = outside_modes(self._sampler.add) if self.replays else self._sampler.add
                given = signature.bind(input, target, *args, **kwargs)
                given.apply_defaults()
                pair = (as_plain(input), as_plain(target))
                if name in _SYMMETRIC and target.requires_grad and not input.requires_grad:
                    pair = pair[::-1]
                add(name, loss, *pair, given.arguments, self.sample)

        observe.__qualname__ = f"LossObserver.{name}"
        return observe

    def _told(self, call: ForeignLoss) -> None:
        """A loss function of a framework built on PyTorch was called."""
        loss, predictions, target = call.value, call.prediction, call.target
        if not all(isinstance(one, torch.Tensor) for one in (loss, predictions, target)):
            return
        if not can_sample(loss):
            return
        if not loss.requires_grad:
            if loss.numel() == 1 and target.dim() and not torch.is_grad_enabled():
                reduction = call.payload["reduction"]
                self.evaluated(call.function, reduction, loss, int(target.shape[0]))
            return
        if (shape := target.shape) and shape[0]:
            self.batch_size = shape[0]
        if self.sample is not None and self.sample.is_open:
            self._sampler.add_foreign(call, self.sample)


def _number(loss: torch.Tensor) -> float:
    """The number of a loss on the CPU; 0 on other devices, so as not to wait for them."""
    return float(read_number(loss)) if loss.is_cpu else 0.0
