"""How alike two optimizer steps in a row are: the cosines of their gradients and of their updates.

After a sampled step the next one of the same optimizer is looked at, at a bounded number of
elements of a bounded number of weight matrices, whatever the size of the model.
"""

import weakref
from collections.abc import Callable, Sequence

import torch
from torch.optim import Optimizer

from nntrace_torch.buffer import SentNumber
from nntrace_torch.describe import sampled_part
from nntrace_torch.plans import fixed_plan
from nntrace_torch.ranks import local_part

_MATRICES = 24
_ELEMENTS = 1024  # of each
Cosine = float | Callable[[], float] | None


class SuccessiveSteps:
    """Compares a sampled step with the optimizer's next one."""

    def __init__(self) -> None:
        self._optimizer: Callable[[], Optimizer | None] = lambda: None
        self._matrices: list[weakref.ref[torch.Tensor]] = []
        self._before: torch.Tensor | None = None
        self._gradient: torch.Tensor | None = None
        self._update: torch.Tensor | None = None
        self._new_gradient: torch.Tensor | None = None
        self._cosines: tuple[Cosine, Cosine] = (None, None)

    def before_step(self, optimizer: Optimizer, *, sampled: bool) -> None:
        """Look at what the step starts from, when it is sampled or follows one that was."""
        self._cosines = (None, None)
        follows = self._update is not None and self._optimizer() is optimizer
        if not follows:
            if not sampled:
                return
            self._begin(optimizer)
        matrices = [matrix for reference in self._matrices if (matrix := reference()) is not None]
        with torch.no_grad():
            gradient = _elements([matrix.grad for matrix in matrices])
            before = _elements(matrices) if gradient is not None else None
        same = self._gradient is None or gradient is None or gradient.shape == self._gradient.shape
        if before is None or not same or len(matrices) < len(self._matrices):
            self.forget()
            return
        self._before, self._new_gradient = before, gradient

    def after_step(self, optimizer: Optimizer, *, sampled: bool) -> None:
        """Look at what the step did."""
        before, gradient = self._before, self._new_gradient
        if before is None or gradient is None or self._optimizer() is not optimizer:
            return
        with torch.no_grad():
            after = _elements([reference() for reference in self._matrices])
            if after is None or after.shape != before.shape:
                self.forget()
                return
            update = after.sub_(before)
            if self._update is not None and self._gradient is not None:
                self._cosines = _cosine(self._gradient, gradient), _cosine(self._update, update)
        self._before = self._new_gradient = None
        if sampled:
            self._gradient, self._update = gradient, update
        else:
            self._gradient = self._update = None

    def take(self) -> tuple[Cosine, Cosine]:
        """The cosines of the gradients and of the updates of this step and the one before."""
        cosines, self._cosines = self._cosines, (None, None)
        return cosines

    def forget(self) -> None:
        """The step that was waited for says nothing, or there was none."""
        self._before = self._gradient = self._update = self._new_gradient = None

    def _begin(self, optimizer: Optimizer) -> None:
        self.forget()
        self._optimizer = weakref.ref(optimizer)
        matrices = [
            parameter
            for group in optimizer.param_groups
            for parameter in group["params"]
            if parameter.dim() > 1 and parameter.grad is not None and not parameter.grad.is_sparse
        ]
        same = [matrix for matrix in matrices if matrix.device == matrices[0].device]
        stride = -(-len(same) // _MATRICES) or 1
        self._matrices = [weakref.ref(matrix) for matrix in same[::stride]]


def _elements(tensors: Sequence[torch.Tensor | None]) -> torch.Tensor | None:
    """A fixed set of elements of all of them in a new float32 vector; None if one is missing."""
    views = []
    for tensor in tensors:
        part = None if tensor is None or tensor.is_sparse else sampled_part(local_part(tensor))
        if part is None:
            return None
        plan = fixed_plan(tuple(part.shape), part.stride(), _ELEMENTS)
        if plan is None:
            return None
        views.append(plan.view(part, 0).reshape(-1).float())
    return torch.cat(views) if views else None


def _cosine(one: torch.Tensor, two: torch.Tensor) -> Cosine:
    """NaN where one of them is zero."""
    cosine = torch.dot(one, two) / (one.norm() * two.norm())
    if cosine.device.type == "cuda":
        return SentNumber(cosine).__float__
    return float(cosine)
