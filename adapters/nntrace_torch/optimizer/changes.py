"""Whether a program has changed a parameter by itself since a backward pass.

PyTorch counts the writes to a tensor, but not those to its `.data`: of programs that write there
the values are compared.
"""

import weakref
from collections.abc import Callable, Iterable

import torch

_ELEMENTS = 65536  # of the parameter that is compared


class AwaitedChange:
    """One parameter that is expected to change before training goes on.

    Attributes:
        is_awaited: whether there is one.
    """

    def __init__(self) -> None:
        self._parameter: Callable[[], torch.Tensor | None] = lambda: None
        self._version = 0
        self._values: torch.Tensor | None = None
        self._is_counted = False  # whether the last change was counted by PyTorch
        self.is_awaited = False

    def begin(self, parameters: Iterable[torch.Tensor], *, compares: bool) -> bool:
        """Await the change of the first parameter that an update would change, if there is one.

        Args:
            parameters: those with a gradient may be changed.
            compares: whether to keep values from now on, as long as PyTorch counts no change.
        """
        is_candidate = _has_some_gradient if self._is_counted else _has_gradient
        found = next(filter(is_candidate, parameters), None)
        if found is not None:
            self._parameter, self._version = weakref.ref(found), found._version
            keeps = compares and not self._is_counted
            self._values = _elements(found).clone() if keeps else None
            self.is_awaited = True
        return self.is_awaited

    def end(self) -> None:
        """Await nothing any more."""
        self.is_awaited, self._values = False, None

    @property
    def is_gone(self) -> bool:
        """Whether the parameter is no longer alive."""
        return self._parameter() is None

    @property
    def is_written(self) -> bool:
        """Whether PyTorch has counted a write to the parameter."""
        now = self._parameter()
        return now is not None and now._version != self._version

    def has_come(self) -> bool:
        """Whether the parameter is alive and has changed."""
        now = self._parameter()
        if now is None:
            return False
        self._is_counted = now._version != self._version
        if self._is_counted:
            return True
        if self._values is None:
            self._values = _elements(now).clone()
            return False
        return not torch.equal(_elements(now), self._values)


def _has_some_gradient(parameter: torch.Tensor) -> bool:
    return parameter.grad is not None


def _has_gradient(parameter: torch.Tensor) -> bool:
    gradient = parameter.grad
    if gradient is None or gradient.is_sparse:
        return gradient is not None
    return torch.count_nonzero(gradient).item() > 0  # half the time of `any`


def _elements(parameter: torch.Tensor) -> torch.Tensor:
    values = parameter.detach()
    elements = values.numel()
    return values if elements <= _ELEMENTS else values.reshape(-1)[:: elements // _ELEMENTS]
