"""Notices when the program itself asks whether a loss is finite, compares it, or reads its number.

A batch whose loss is NaN is often skipped before `backward`, where nothing else would ever see it.
Only values on the CPU are examined, and numbers that the program has waited for anyway. For a NaN
without a graph (`loss.detach()`, `loss.item()`) the program's variables are searched for the loss.
Questions that PyTorch or nntrace asks do not count.
"""

import math
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import torch

from nntrace.recorder import Recorder
from nntrace_torch.patching import Undo, calling_from, is_captured, read_number, wrap
from nntrace_torch.program.containers import tensors_held
from nntrace_torch.program.frames import users_frames
from nntrace_torch.program.sources import is_users

_QUESTIONS = ("isnan", "isinf", "isfinite")
_COMPARISONS = ("__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__")
_NUMBERS = ("item", "__float__")
_READINGS = ("tolist", "numpy")
_FEW = 64  # elements of the largest value without a graph that is examined

_transforms = torch._C._functorch.peek_interpreter_stack


class FinitenessObserver:
    """Watches `torch.isnan` and its like, comparisons, and the readings of a number.

    Attributes:
        asked: called with each value that has a graph, is not finite, and was asked about.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self.asked: Callable[[torch.Tensor], object] = lambda value: None

    def install(self) -> list[Undo]:
        """Watch functions and methods."""
        self._tell = self._recorder.guard(self._look)
        self._find = self._recorder.guard(self._look_for)
        return [
            *(wrap(torch, name, self._question) for name in _QUESTIONS),
            *(wrap(torch.Tensor, name, self._question) for name in _QUESTIONS),
            *(wrap(torch.Tensor, name, self._comparison) for name in _COMPARISONS),
            *(wrap(torch.Tensor, name, self._number) for name in _NUMBERS),
            *(wrap(torch.Tensor, name, self._reading) for name in _READINGS),
        ]

    def _question(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def question(*args: Any, **kwargs: Any) -> Any:
            answer = original(*args, **kwargs)
            value = args[0] if args else kwargs.get("input")
            if (
                type(value) is torch.Tensor
                and value.is_cpu
                and (value.grad_fn is not None or value.numel() <= _FEW)
                and _is_asked_by_user()
            ):
                self._tell(value)
            return answer

        return question

    def _comparison(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def comparison(value: Any, other: Any) -> Any:
            answer = original(value, other)
            for one in (value, other):
                if (
                    type(one) is torch.Tensor
                    and not one.dim()
                    and one.is_floating_point()
                    and one.is_cpu
                    and _is_asked_by_user()
                ):
                    self._tell(one)
            return answer

        return comparison

    def _number(self, original: Callable[..., Any]) -> Callable[..., Any]:
        warns = original.__name__ == "__float__"  # once, when a value with a graph is read

        def number(value: torch.Tensor) -> Any:
            # Optimizers read a number for each parameter at each step: do no more for finite ones.
            if warns and value.requires_grad:
                read = calling_from(sys._getframe(1))(original, (value,), {})
            else:
                read = original(value)
            if read - read != 0 and type(read) is float and _is_asked_by_user():
                self._was_read(value, read, sys._getframe(1))
            return read

        return number

    def _reading(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def reading(value: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
            number = original(value, *args, **kwargs)
            if (
                type(value) is torch.Tensor
                and not value.dim()
                and value.is_floating_point()
                and not math.isfinite(number)
                and _is_asked_by_user()
            ):
                self._was_read(value, float(number), sys._getframe(1))
            return number

        return reading

    def _was_read(self, value: torch.Tensor, number: float, frame: FrameType) -> None:
        if value.grad_fn is not None:
            self._tell(value)
        elif math.isnan(number):
            self._find(frame)

    def _look(self, value: torch.Tensor) -> None:
        if is_captured() or _transforms() is not None or not value.is_floating_point():
            return
        # Among several numbers only a NaN counts: infinities may belong to a mask.
        total = read_number((value if value.numel() == 1 else value.sum()).detach())
        if value.grad_fn is None:
            if math.isnan(total):
                self._look_for(sys._getframe(1))
        elif math.isnan(total) or (value.numel() == 1 and math.isinf(total)):
            self.asked(value)

    def _look_for(self, frame: FrameType | None) -> None:
        """A NaN without a graph was read: look for the loss it came from in the user's frames."""
        for one in users_frames(frame):
            for held in list(one.f_locals.values()):
                for tensor in tensors_held(held):
                    if _is_broken_loss(tensor):
                        self.asked(tensor)
                        return


def _is_broken_loss(tensor: torch.Tensor) -> bool:
    return (
        tensor.grad_fn is not None
        and tensor.numel() == 1
        and tensor.is_floating_point()
        and math.isnan(read_number(tensor.detach()))
    )


def _is_asked_by_user() -> bool:
    """Whether the wrapped function was called by the program's own code."""
    return is_users(sys._getframe(2).f_code.co_filename)
