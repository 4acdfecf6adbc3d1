"""Follows gradient clipping: the norm it found and the limit it was given, for each step.

Clipping that cannot do what it is for is told once: after the step that used the gradients, or
while they are still multiplied by the scale of a loss.
"""

import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch.nn.utils import clip_grad

from nntrace.recorder import Recorder
from nntrace.schema import EventKind
from nntrace_torch.patching import Undo, is_captured, read_number, wrap
from nntrace_torch.program.devices import queue
from nntrace_torch.program.sources import UNKNOWN, Source, caller
from nntrace_torch.program.tensors import can_sample
from nntrace_torch.samples.buffer import Number, SentNumber

_MANY = 64  # calls in a step
_SURE = 5  # steps with the same fault
_ROUNDING = 1e-3  # the relative difference by which norms may differ without clipping


class GradientClipping:
    """Notes the norm that `clip_grad_norm_` found, without reading its value, and its limit.

    Attributes:
        calls: norms and limits since the last step.
        is_light: whether steps are light: finite norms are then ignored.
        unusual: called first, in light steps, if a norm is not finite or not known to be.
        broke: called when a norm on the host is not finite: the program may skip the step.
        has_scaled: says whether the gradients are still multiplied by the scale of the loss.
        is_sampled: says whether the step is sampled.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self.calls: list[tuple[Number, float]] = []
        self.is_light = False
        self.unusual: Callable[[], object] = lambda: None
        self.broke: Callable[[], object] = lambda: None
        self.has_scaled: Callable[[], bool] = lambda: False
        self.is_sampled: Callable[[], bool] = lambda: False
        self._faults: Counter[str] = Counter()
        self._source: Source | None = None  # of the first call

    def install(self) -> list[Undo]:
        """Watch the function under both of its names."""
        self._observe = self._recorder.guard(self._clipped)
        self._tell_unusual = self._recorder.guard(lambda: self.unusual())
        self._tell = self._recorder.guard(lambda: self.broke())
        self._recorder.hooks.on_clipping(self._told)
        return [
            wrap(owner, "clip_grad_norm_", self._watched) for owner in (torch.nn.utils, clip_grad)
        ]

    def _watched(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def clip(*args: Any, **kwargs: Any) -> Any:
            try:
                norm = original(*args, **kwargs)
            except RuntimeError:  # `error_if_nonfinite`
                if not is_captured():
                    self._tell()
                raise
            if self.is_light and _is_finite(norm):
                return norm
            if not is_captured():
                if self.is_light:
                    self._tell_unusual()
                self._observe(norm, *args, **kwargs)
            return norm

        return clip

    def backward_begins(self) -> None:
        """The first backward after a step: what was clipped since then came too late for it."""
        if not self.calls:
            return
        self.calls = []
        self._count("late")

    @property
    def norm(self) -> float | None:
        """The norm found since the last step, if on the host; of several, a non-finite one."""
        if not self.calls:
            return None
        norms = [norm for norm, _ in self.calls if isinstance(norm, float)]
        broken = [norm for norm in norms if not math.isfinite(norm)]
        return next(iter(broken or norms), None)

    def take(self) -> tuple[float | Callable[[], float] | None, float | None]:
        """Norm and limit since the last call; of several calls the one that clipped most."""
        calls, self.calls = self.calls, []
        if not calls:
            return None, None
        if len(calls) > 1:  # of parameter groups; their norms are compared at once
            calls = [max(calls, key=lambda call: float(call[0]) / max(call[1], 1e-30))]
        ((norm, limit),) = calls
        return (norm.__float__ if isinstance(norm, SentNumber) else float(norm)), limit

    def _clipped(
        self, norm: Any, parameters: Any = None, max_norm: Any = None, *args: Any, **kwargs: Any
    ) -> None:
        if isinstance(max_norm, (int, float)) and can_sample(norm) and norm.numel() == 1:
            found = norm.detach()
            number: Number = found
            if found.is_cpu:
                number = float(found.item())
                if not math.isfinite(number):
                    self.broke()
            elif queue(found.device) is not None and not is_captured():
                number = SentNumber(found)
            if self._source is None:
                self._source = caller()
                self._tell_of(None)
            if not self.calls and self._faults["scaled"] < _SURE and self.has_scaled():
                self._count("scaled")
            self.calls.append((number, float(max_norm)))
            del self.calls[:-_MANY]

    def _told(self, given: Any, left: Any) -> None:
        """Another framework's optimizer clips: the limit is the norm that remains, if it differs.

        In sampled steps only, as both norms have to be computed.
        """
        if is_captured() or not self.is_sampled():
            return
        before, after = map(_norm, (given, left))
        self.calls.append((before, before if after >= (1 - _ROUNDING) * before else after))

    def _count(self, fault: str) -> None:
        self._faults[fault] += 1
        if self._faults[fault] == _SURE:
            self._tell_of(fault)

    def _tell_of(self, fault: str | None) -> None:
        source = self._source or UNKNOWN
        self._recorder.add_event(
            EventKind.CLIPPING,
            {"fault": fault, **source.place},
            severity="warning" if fault else "info",
        )


def _norm(gradients: Any) -> float:
    norms = [gradient.detach().norm() for gradient in gradients if gradient is not None]
    return float(torch.stack(norms).norm()) if norms else 0.0


def _is_finite(norm: Any) -> bool:
    """Whether the norm is known to be finite, which takes one on the CPU."""
    is_read = type(norm) is torch.Tensor and norm.is_cpu and norm.numel() == 1 and can_sample(norm)
    return is_read and math.isfinite(read_number(norm))
