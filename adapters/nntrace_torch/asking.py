"""Notices when the program itself asks whether a loss is finite, or reads its number.

A batch whose loss is NaN is often skipped before `backward`: then nothing else would ever see it.
Looked at is what has a graph, on the CPU: the program is about to wait for it anyway. Neither
PyTorch's questions count nor ours.
"""

import math
import sys
from collections.abc import Callable
from typing import Any

import torch

from nntrace.recorder import Recorder
from nntrace_torch.patching import Undo, is_captured, wrap
from nntrace_torch.sources import is_users

_QUESTIONS = ("isnan", "isinf", "isfinite")
_READINGS = ("item", "__float__")

_transforms = torch._C._functorch.peek_interpreter_stack
_item = torch.Tensor.item  # before anything is put around it


class FinitenessObserver:
    """Watches `torch.isnan` and its like, and the readings of a number.

    Attributes:
        asked: told of a value with a graph that the program asked about and is not finite.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self.asked: Callable[[torch.Tensor], object] = lambda value: None

    def install(self) -> list[Undo]:
        """Watch functions and methods."""
        self._tell = self._recorder.guard(self._look)
        return [
            *(wrap(torch, name, self._question) for name in _QUESTIONS),
            *(wrap(torch.Tensor, name, self._question) for name in _QUESTIONS),
            *(wrap(torch.Tensor, name, self._reading) for name in _READINGS),
        ]

    def _question(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def question(*args: Any, **kwargs: Any) -> Any:
            answer = original(*args, **kwargs)
            value = args[0] if args else kwargs.get("input")
            if (
                type(value) is torch.Tensor
                and value.grad_fn is not None
                and value.is_cpu
                and _is_asked_by_user()
            ):
                self._tell(value)
            return answer

        return question

    def _reading(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def reading(value: torch.Tensor) -> Any:
            number = original(value)
            is_broken = type(number) is float and not math.isfinite(number)
            if is_broken and value.grad_fn is not None and _is_asked_by_user():
                self._tell(value)
            return number

        return reading

    def _look(self, value: torch.Tensor) -> None:
        if is_captured() or _transforms() is not None or value.is_complex():
            return
        # Of more than one number only a NaN counts: infinities may be a mask's.
        if value.numel() == 1:
            broken = not math.isfinite(_item(value.detach()))
        else:
            broken = math.isnan(_item(value.detach().sum()))
        if broken:
            self.asked(value)


def _is_asked_by_user() -> bool:
    """Whether the function that was wrapped was called by the program's own code."""
    return is_users(sys._getframe(2).f_code.co_filename)
