"""Remembers where the user's code built a module or an optimizer: file and line."""

import os

import torch

from nntrace.adapter.sources import UNKNOWN, BuiltAt, Source, UserCode
from nntrace.recorder import Recorder
from nntrace_torch.patching import Undo, before

_FRAMES = 30
_TORCH = os.path.dirname(torch.__file__)
_KERAS = os.path.join(os.path.dirname(_TORCH), "keras")  # which runs on PyTorch, too
_ADAPTER = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_CODE = UserCode((_TORCH, _KERAS, _ADAPTER), _FRAMES)
is_users = _CODE.is_users
caller = _CODE.caller
call_path = _CODE.call_path

__all__ = ["UNKNOWN", "Source", "Sources", "call_path", "caller", "is_users"]


class Sources(BuiltAt):
    """Where each living module and optimizer was built."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__(_CODE)
        self._observe = recorder.guard(self.note)

    def install(self) -> list[Undo]:
        """Watch constructors."""
        return [
            before(torch.nn.Module, "__init__", self._observe),
            before(torch.optim.Optimizer, "__init__", self._observe),
        ]
