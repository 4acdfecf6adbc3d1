"""Follows `GradScaler`: the scale by which it multiplied the loss, and the steps it skipped.

Recorded values are unscaled: the loss as the program computed it, gradients as an optimizer would
get them without a scaler.
"""

import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch.amp import GradScaler
from torch.amp.grad_scaler import OptState
from torch.optim import Optimizer

from nntrace.recorder import Recorder
from nntrace_torch.patching import Undo, after, before

_MAX_LOSSES = 1024

Skipped = Callable[[Optimizer], None]


class LossScaling:
    """The loss scaling of the current step.

    Attributes:
        is_used: whether the step uses a scaler.
        used: called when it does.
    """

    def __init__(self, recorder: Recorder, skipped: Skipped) -> None:
        self._recorder = recorder
        self._skipped = skipped
        self._scaler: Callable[[], GradScaler | None] = lambda: None
        self._losses: dict[int, tuple[weakref.ref[torch.Tensor], torch.Tensor]] = {}
        self._pending: Callable[[], Optimizer | None] = lambda: None
        self.is_used = False
        self.used: Callable[[], object] = lambda: None

    def install(self) -> list[Undo]:
        """Watch every `GradScaler`, and what a framework that is built on PyTorch reports."""
        guard = self._recorder.guard
        self._recorder.hooks.on_loss_scaling(guard(self._scaled), guard(self._skipped))
        return [
            after(GradScaler, "scale", guard(self._scaled)),
            before(GradScaler, "unscale_", guard(self._uses)),
            before(GradScaler, "step", guard(self._step_begins)),
            after(GradScaler, "step", guard(self._step_ended)),
        ]

    @property
    def scale(self) -> torch.Tensor | None:
        """The factor of this step's gradients, a scalar tensor; None without a scaler."""
        scaler = self._scaler()
        return None if scaler is None else scaler._scale

    @property
    def is_in_gradients(self) -> bool:
        """Whether this step's gradients are still multiplied by the scale: no `unscale_` so far."""
        scaler = self._scaler()
        if scaler is None:
            return False
        stages = (state["stage"] for state in scaler._per_optimizer_states.values())
        return all(stage is OptState.READY for stage in stages)

    def unscaled(self, loss: torch.Tensor) -> torch.Tensor:
        """The loss before it was scaled, if it was; it may have its graph."""
        if self._losses:
            reference, original = self._losses.get(id(loss), (None, loss))
            if reference is not None and reference() is loss:
                return original
        scale = self.scale
        if scale is None or loss.device != scale.device:
            return loss
        return loss.detach() / scale  # a sum of scaled losses

    def has_stepped(self, optimizer: Optimizer) -> bool:
        """Note that the optimizer's step ran; True if that step itself was a skipped one.

        A fused optimizer gets scaled gradients and decides on the device whether to skip.
        """
        if self._pending() is optimizer:
            self._pending = lambda: None
        found = getattr(optimizer, "found_inf", None)
        return isinstance(found, torch.Tensor) and bool(found)

    def take_scale(self) -> float | None:
        """The scale of the step that ends; the next step begins without a scaler."""
        scale = self.scale
        self._scaler = lambda: None
        self.is_used = False
        self._losses.clear()
        return None if scale is None else float(scale)

    def _scaled(self, result: Any, scaler: GradScaler, outputs: Any, *args: Any) -> None:
        if not scaler.is_enabled():
            return
        self._uses(scaler)
        if isinstance(result, torch.Tensor):
            result, outputs = (result,), (outputs,)
        if not isinstance(result, (list, tuple)) or not isinstance(outputs, (list, tuple)):
            return  # an iterator: looking at it would use it up
        for scaled, original in zip(result, outputs, strict=True):
            if isinstance(scaled, torch.Tensor) and len(self._losses) < _MAX_LOSSES:
                self._losses[id(scaled)] = (weakref.ref(scaled), original.detach())

    def _uses(self, scaler: GradScaler, *args: Any, **kwargs: Any) -> None:
        """Also the second optimizer after one backward pass has gradients of a scaled loss."""
        if scaler.is_enabled():
            self._scaler = weakref.ref(scaler)
            self.is_used = True
            self.used()

    def _step_begins(self, scaler: GradScaler, optimizer: Optimizer, *args: Any, **kw: Any) -> None:
        if scaler.is_enabled():
            self._pending = weakref.ref(optimizer)
            self._uses(scaler)

    def _step_ended(
        self, result: Any, scaler: GradScaler, optimizer: Optimizer, *args: Any, **kwargs: Any
    ) -> None:
        if self._pending() is optimizer:  # its `step` was not called
            self._pending = lambda: None
            self._skipped(optimizer)
