"""Whether the program clears gradients between two optimizer steps, and within one.

A gradient that was neither replaced (`zero_grad`) nor written to (`zero_`) when the next backward
begins has not been cleared. With several optimizers one's gradients rightly outlive the other's
step, so nothing is said then. Gradients of micro-batches that are gone when the next one's backward
begins were computed for nothing, unless the parameters were changed meanwhile (SAM) or the
gradients are zero at the end of the step as well (units that never fire).
"""

import weakref

import torch
from torch.optim import Optimizer

from nntrace.recorder import Recorder
from nntrace.schema import EventKind
from nntrace_torch.program.sources import Source, caller

_LOST = 5  # backward passes without any effect that are enough
_WATCHED = 8  # parameters; one that was not cleared is enough


class GradientClearing:
    """Remembers some gradients at the end of a step and looks again before the next backward.

    Attributes:
        cleared: what was seen in this step; None when nothing was looked at.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._stepped: list[tuple[weakref.ref[torch.Tensor], int]] = []
        self._lost = 0
        self._gone_at: Source | None = None  # the backward before which none was left, in this step
        self._watched: list[tuple[weakref.ref[torch.Tensor], weakref.ref[torch.Tensor], int]] = []
        self.cleared: bool | None = None

    def remember(self, optimizer: Optimizer, *, alone: bool) -> None:
        """At the end of a step whose next one is sampled."""
        self._watched, self._stepped, self._gone_at = [], [], None
        if not alone:
            return
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                gradient = parameter.grad
                if gradient is not None and len(self._watched) < _WATCHED:
                    entry = (weakref.ref(parameter), weakref.ref(gradient), gradient._version)
                    self._watched.append(entry)
                    self._stepped.append((weakref.ref(parameter), parameter._version))

    def look(self) -> None:
        """Before the first backward of a step."""
        if not self._watched:
            return
        self.cleared = True
        for parameter_ref, gradient_ref, version in self._watched:
            parameter, gradient = parameter_ref(), gradient_ref()
            if parameter is None or gradient is None or parameter.grad is not gradient:
                continue
            if gradient._version == version and bool(gradient.any()):
                self.cleared = False
        self._watched = []

    def look_between(self) -> None:
        """Before a further backward of a step, of another forward."""
        if self._lost >= _LOST or not self._stepped:
            return
        for reference, version in self._stepped:
            parameter = reference()
            if parameter is None or parameter._version != version:
                return
            if parameter.grad is not None and bool(parameter.grad.any()):
                return
        self._gone_at = caller()

    def take(self) -> bool | None:
        """What was seen in this step, which is over; its gradients are still there."""
        if self._gone_at is not None:
            self._count_lost(self._gone_at)
            self._gone_at = None
        cleared, self.cleared = self.cleared, None
        return cleared

    def _count_lost(self, source: Source) -> None:
        parameters = (reference() for reference, _ in self._stepped)
        left = (parameter.grad for parameter in parameters if parameter is not None)
        if not any(gradient is not None and bool(gradient.any()) for gradient in left):
            return
        self._lost += 1
        if self._lost == _LOST:
            payload = {"cleared_within": self._lost, "file": source.file, "line": source.line}
            self._recorder.add_event(EventKind.IDLE, payload, severity="warning")
