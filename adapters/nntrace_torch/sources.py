"""Remembers where the user's code built a module or an optimizer: file and line.

The first frame outside PyTorch and outside the object's own constructors counts.
"""

import os
import sys
import weakref
from types import FrameType
from typing import Any, NamedTuple

import torch

import nntrace.recorder
from nntrace.recorder import Recorder
from nntrace_torch.patching import Undo, before

_NOT_THE_USERS = (
    os.path.dirname(torch.__file__) + os.sep,
    os.path.dirname(os.path.abspath(__file__)) + os.sep,
    os.path.dirname(os.path.abspath(nntrace.recorder.__file__)) + os.sep,  # its guard calls us
    "<",
)
_MAX_FRAMES = 30


class Source(NamedTuple):
    """A line of the user's code."""

    file: str | None
    line: int | None


UNKNOWN = Source(None, None)


def is_users(file: str) -> bool:
    """Whether a file is the program's: neither PyTorch's nor ours."""
    return not file.startswith(_NOT_THE_USERS)


def caller(built: object | None = None) -> Source:
    """The innermost line outside PyTorch (and outside the constructors of `built`)."""
    frame: FrameType | None = sys._getframe(1)
    for _ in range(_MAX_FRAMES):
        if frame is None:
            break
        code = frame.f_code
        file = code.co_filename
        if is_users(file):
            constructs = (
                built is not None
                and code.co_name == "__init__"
                and code.co_argcount > 0
                and frame.f_locals.get(code.co_varnames[0]) is built
            )
            if not constructs:
                return Source(file, frame.f_lineno)
        frame = frame.f_back
    return UNKNOWN


def call_path() -> int:
    """A number for the lines of the program that are being executed, innermost first.

    Equal where a loop comes back to the same call, different for two calls of one helper.
    """
    frame: FrameType | None = sys._getframe(1)
    lines: list[tuple[int, int]] = []
    for _ in range(_MAX_FRAMES):
        if frame is None:
            break
        if is_users(frame.f_code.co_filename):
            lines.append((id(frame.f_code), frame.f_lineno))
        frame = frame.f_back
    return hash(tuple(lines))


class Sources:
    """Where each living module and optimizer was built."""

    def __init__(self, recorder: Recorder) -> None:
        self._observe = recorder.guard(self._built)
        self._by_id: dict[int, tuple[weakref.ref[Any], Source]] = {}

    def install(self) -> list[Undo]:
        """Watch constructors."""
        return [
            before(torch.nn.Module, "__init__", self._observe),
            before(torch.optim.Optimizer, "__init__", self._observe),
        ]

    def of(self, built: object) -> Source:
        """Where it was built; unknown for a copy or something built before nntrace came."""
        reference, source = self._by_id.get(id(built), (None, UNKNOWN))
        return source if reference is not None and reference() is built else UNKNOWN

    def _built(self, built: object, *args: Any, **kwargs: Any) -> None:
        key = id(built)
        try:
            reference = weakref.ref(built, lambda _: self._by_id.pop(key, None))
        except TypeError:
            return
        self._by_id[key] = (reference, caller(built))
