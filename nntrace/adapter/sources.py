"""Lines of the user's code: who calls, and where layers, modules and optimizers were built.

The first frame outside the framework, nntrace and the object's own constructors counts.
"""

import os
import sys
import weakref
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any, NamedTuple

_NNTRACE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class Source(NamedTuple):
    """A line of the user's code."""

    file: str | None
    line: int | None


UNKNOWN = Source(None, None)


class UserCode:
    """Tells the user's frames from others.

    Args:
        folders: of the framework and its adapter: nothing in them is the user's.
        frames: how many are looked at.
    """

    def __init__(self, folders: Iterable[str], frames: int) -> None:
        self._not_the_users = (*(f"{path}{os.sep}" for path in (*folders, _NNTRACE)), "<")
        self._frames = frames
        self._known: dict[str, bool] = {}

    def is_users(self, file: str) -> bool:
        """Whether a file is the program's: neither the framework's nor ours."""
        known = self._known.get(file)
        if known is None:
            known = self._known[file] = not file.startswith(self._not_the_users)
        return known

    def caller(self, built: object | None = None) -> Source:
        """The innermost line of the user's (outside of the constructors of `built`)."""
        frame: FrameType | None = sys._getframe(1)
        for _ in range(self._frames):
            if frame is None:
                break
            code = frame.f_code
            if not code.co_filename.startswith(self._not_the_users):
                constructs = (
                    built is not None
                    and code.co_name == "__init__"
                    and code.co_argcount > 0
                    and frame.f_locals.get(code.co_varnames[0]) is built
                )
                if not constructs:
                    return Source(code.co_filename, frame.f_lineno)
            frame = frame.f_back
        return UNKNOWN

    def call_path(self) -> int:
        """A number for the calls in the program's code that are under way, innermost first.

        Equal where a loop comes back to the same call, different for two calls of one helper.
        """
        frame: FrameType | None = sys._getframe(1)
        known = self._known
        calls: list[int] = []
        for _ in range(self._frames):
            if frame is None:
                break
            code = frame.f_code
            is_users = known.get(code.co_filename)
            if is_users is None:
                is_users = self.is_users(code.co_filename)
            if is_users:
                calls += (id(code), frame.f_lasti)
            frame = frame.f_back
        return hash(tuple(calls))


class BuiltAt:
    """Where each living object was built; keeps none of them alive."""

    def __init__(self, code: UserCode) -> None:
        self._caller: Callable[[object], Source] = code.caller
        self._by_id: dict[int, tuple[weakref.ref[Any], Source]] = {}

    def of(self, built: object) -> Source:
        """Where it was built; unknown for a copy or something built before nntrace came."""
        reference, source = self._by_id.get(id(built), (None, UNKNOWN))
        return source if reference is not None and reference() is built else UNKNOWN

    def note(self, built: object, *args: Any, **kwargs: Any) -> None:
        """It is being built."""
        key = id(built)
        if key in self._by_id and self._by_id[key][0]() is built:
            return  # a base class's constructor
        try:
            reference = weakref.ref(built, lambda _: self._by_id.pop(key, None))
        except TypeError:
            return
        self._by_id[key] = (reference, self._caller(built))
