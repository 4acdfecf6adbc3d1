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
from collections.abc import Iterable
from itertools import islice
from types import CodeType, FrameType
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

    @property
    def place(self) -> dict[str, Any]:
        """The line as keys of an event."""
        return {"file": self.file, "line": self.line}


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
        self._places: dict[tuple[int, int], tuple[CodeType, int]] = {}

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
            is_counted = not file.startswith(self._not_the_users)
            if is_counted and (built is None or _constructed(frame) is not built):
                if installed or not is_installed(file):
                    return Source(file, frame.f_lineno)
                if within is UNKNOWN:
                    within = Source(file, frame.f_lineno)
            frame = frame.f_back
        return within

    def constructed_around(self, built: object) -> list[object]:
        """What installed packages construct around `built`, from the innermost outward.

        It ends at the first line of the program, other than of the constructors of `built`.
        """
        frame: FrameType | None = sys._getframe(1)
        around: list[object] = []
        for _ in range(_DEEPEST):
            if frame is None:
                break
            file = frame.f_code.co_filename
            if not file.startswith(self._not_the_users):
                constructed = _constructed(frame)
                if constructed is not built:
                    if not is_installed(file):
                        break
                    if constructed is not None:
                        around.append(constructed)
            frame = frame.f_back
        return around

    def call_path(self) -> int:
        """A hash of the stack of calls in the user's code.

        It is equal where a loop comes back to the same call, and different for two calls of one
        helper function.
        """
        frame: FrameType | None = sys._getframe(1)
        known, places = self._known, self._places
        calls: list[int] = []
        for _ in range(self._frames):
            if frame is None:
                break
            code = frame.f_code
            is_users = known.get(code.co_filename)
            if is_users is None:
                is_users = self.is_users(code.co_filename)
            if is_users:
                place = places.get((id(code), frame.f_lasti))
                calls += (id(code), self._place_in(frame) if place is None else place[1])
            frame = frame.f_back
        return hash(tuple(calls))

    def _place_in(self, frame: FrameType) -> int:
        """The place of a frame's instruction in its code.

        The number of the instruction would not do: Python 3.11 makes a call of a built-in, such as
        `sum` over a generator, by another instruction once it has been made often.
        """
        code, instruction = frame.f_code, frame.f_lasti
        position = next(islice(code.co_positions(), instruction // 2, None), (None,))
        place = instruction if None in position else hash(position)
        self._places[id(code), instruction] = code, place  # holds the code, whose id stays its own
        return place


def _constructed(frame: FrameType) -> object | None:
    """The object whose constructor the frame runs; None for other functions."""
    code = frame.f_code
    if code.co_name != "__init__" or not code.co_argcount:
        return None
    constructed: object = frame.f_locals.get(code.co_varnames[0])
    return constructed


class BuiltAt:
    """Where each living object was built; keeps none of them alive.

    An object that an installed package builds within the constructor of another is part of that
    one. The outermost such object, which the program asked for, has a number that its parts share.
    """

    def __init__(self, code: UserCode) -> None:
        self._code = code
        self._by_id: dict[int, tuple[weakref.ref[Any], Source]] = {}
        self._part_of: dict[int, int] = {}  # by the identity of a part
        self._numbers: dict[int, int] = {}  # by the identity of an outermost object
        self._count = 0

    def of(self, built: object) -> Source:
        """Where an object was built; `UNKNOWN` for a copy or an object older than this one."""
        reference, source = self._by_id.get(id(built), (None, UNKNOWN))
        return source if reference is not None and reference() is built else UNKNOWN

    def library_object(self, built: object) -> int | None:
        """The number of the object of a library that an object is part of; None for others."""
        return self._part_of.get(id(built)) if self._knows(built) else None

    def note(self, built: object, *args: Any, **kwargs: Any) -> None:
        """Note that an object is being built; call this from its constructor."""
        key = id(built)
        if key in self._by_id and self._by_id[key][0]() is built:
            return  # a base class's constructor
        try:
            reference = weakref.ref(built, lambda _: self._forget(key))
        except TypeError:
            return
        self._by_id[key] = (reference, self._code.caller(built))
        around = self._code.constructed_around(built)
        outermost = next((one for one in reversed(around) if self._knows(one)), None)
        if outermost is not None:
            if id(outermost) not in self._numbers:
                self._numbers[id(outermost)] = self._count
                self._count += 1
            self._part_of[key] = self._numbers[id(outermost)]

    def _knows(self, built: object) -> bool:
        reference, _ = self._by_id.get(id(built), (None, UNKNOWN))
        return reference is not None and reference() is built

    def _forget(self, key: int) -> None:
        for known in (self._by_id, self._part_of, self._numbers):
            known.pop(key, None)
