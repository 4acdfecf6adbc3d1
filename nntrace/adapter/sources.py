"""Finds lines of the user's code: who calls, and where layers and optimizers were built.

The innermost frame outside the framework, nntrace and the object's own constructors counts. A frame
in the program's own files takes precedence over one in an installed package: a call that Lightning
or Transformers makes for the program is located at the line where the program calls them.
"""

import functools
import os
import sys
import sysconfig
import weakref
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any, NamedTuple

_NNTRACE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_INSTALLED = ("site-packages", "dist-packages")
# Python's own modules, and the scripts that start packages (`torchrun`).
_PYTHON = tuple(sysconfig.get_path(name) + os.sep for name in ("stdlib", "scripts"))
_DEEPEST = 120  # frames from a training step of Lightning or a Trainer to the program's call of it


@functools.cache
def is_installed(file: str) -> bool:
    """Whether a file belongs to a package or to Python, rather than to the program."""
    return file.startswith(_PYTHON) or any(name in file.split(os.sep) for name in _INSTALLED)


def notebook_cell() -> int | None:
    """The number of the notebook cell that is running; None in a script."""
    get_shell = getattr(sys.modules.get("IPython"), "get_ipython", None)
    number = getattr(get_shell(), "execution_count", None) if get_shell is not None else None
    return number if isinstance(number, int) else None


class Source(NamedTuple):
    """A line of the user's code."""

    file: str | None
    line: int | None


UNKNOWN = Source(None, None)


class UserCode:
    """Tells the user's frames from others.

    Args:
        folders: the folders of the framework and its adapter: no file in them is the user's.
        frames: the number of frames searched, from the innermost outward.
    """

    def __init__(self, folders: Iterable[str], frames: int) -> None:
        self._not_the_users = (*(f"{path}{os.sep}" for path in (*folders, _NNTRACE)), "<")
        self._frames = frames
        self._known: dict[str, bool] = {}

    def is_users(self, file: str) -> bool:
        """Whether a file is outside the framework, its adapter and nntrace."""
        known = self._known.get(file)
        if known is None:
            known = self._known[file] = not file.startswith(self._not_the_users)
        return known

    def caller(self, built: object | None = None, *, installed: bool = False) -> Source:
        """The innermost line of the user's code that leads to this call.

        A line in an installed package is returned where no frame is in the program's own files.

        Args:
            built: an object under construction, whose constructors do not count.
            installed: whether a line in an installed package counts like one of the program, to
                tell two calls within a package apart.
        """
        frame: FrameType | None = sys._getframe(1)
        within = UNKNOWN
        for number in range(_DEEPEST):
            if frame is None or (number >= self._frames and within is UNKNOWN):
                break
            code = frame.f_code
            file = code.co_filename
            if not file.startswith(self._not_the_users):
                constructs = (
                    built is not None
                    and code.co_name == "__init__"
                    and code.co_argcount > 0
                    and frame.f_locals.get(code.co_varnames[0]) is built
                )
                if not constructs:
                    if installed or not is_installed(file):
                        return Source(file, frame.f_lineno)
                    if within is UNKNOWN:
                        within = Source(file, frame.f_lineno)
            frame = frame.f_back
        return within

    def call_path(self) -> int:
        """A hash of the stack of calls in the user's code.

        It is equal where a loop comes back to the same call, and different for two calls of one
        helper function.
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
        """Where an object was built; `UNKNOWN` for a copy or an object older than this one."""
        reference, source = self._by_id.get(id(built), (None, UNKNOWN))
        return source if reference is not None and reference() is built else UNKNOWN

    def note(self, built: object, *args: Any, **kwargs: Any) -> None:
        """Note that an object is being built; call this from its constructor."""
        key = id(built)
        if key in self._by_id and self._by_id[key][0]() is built:
            return  # a base class's constructor
        try:
            reference = weakref.ref(built, lambda _: self._by_id.pop(key, None))
        except TypeError:
            return
        self._by_id[key] = (reference, self._caller(built))
