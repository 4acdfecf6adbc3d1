"""Notices losses of earlier steps whose graphs the program keeps: `total += loss`.

The graph of each sampled step's loss is marked. Once the marks of several earlier steps are alive,
the program's variables are searched for what holds them. If no variable is found nothing is
reported: a graph in a reference cycle merely waits for Python's garbage collector.
"""

import linecache
import re
import sys
import weakref
from collections import deque
from collections.abc import Iterator
from types import FrameType
from typing import Any

import torch

from nntrace.recorder import Recorder
from nntrace.schema import EventKind
from nntrace_torch.program.containers import named_parts
from nntrace_torch.program.frames import users_frames
from nntrace_torch.program.graphs import nodes_of

_KEY = "nntrace"
_MANY = 8  # live graphs of earlier steps: more than a comparison with the last step needs
_SEARCHES = 3
_MARKS = 64
_MOST_NODES = 4096
_FRAMES = 6
_MOST_LINES = 400  # lines of a function that are searched


class _Mark:
    """An object that lives as long as the graph it was put into."""

    __slots__ = ("__weakref__",)


class KeptGraphs:
    """Marks the graphs of losses, and looks for the variables that keep them."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._marks: deque[weakref.ref[_Mark]] = deque(maxlen=_MARKS)
        self._searches = 0

    def look(self, loss: torch.Tensor) -> None:
        """Mark a loss and count the marks alive; called before a sampled step's first backward."""
        node: Any = loss.grad_fn
        if node is None or self._searches >= _SEARCHES:
            return
        alive = sum(mark() is not None for mark in self._marks)
        if alive >= _MANY << self._searches:
            self._searches += 1
            self._search(sys._getframe(1), alive)
        mark = _Mark()
        node.metadata[_KEY] = mark
        self._marks.append(weakref.ref(mark))

    def _search(self, frame: FrameType | None, alive: int) -> None:
        for one in users_frames(frame, _FRAMES):
            for name, held in _names(one):
                parts = [part for _, part in named_parts(name, held)]
                kept = _marks_behind([p.grad_fn for p in parts if isinstance(p, torch.Tensor)])
                if kept >= _MANY // 2:
                    self._searches = _SEARCHES
                    payload = {
                        "name": name,
                        "steps": alive,
                        "file": one.f_code.co_filename,
                        "line": _line(one, name),
                    }
                    self._recorder.add_event(EventKind.KEPT_GRAPHS, payload, severity="warning")
                    return


def _names(frame: FrameType) -> Iterator[tuple[str, Any]]:
    """The variables of a function and the attributes of objects among them, with their names."""
    for name, value in list(frame.f_locals.items()):
        if isinstance(value, torch.nn.Module) or name.startswith("__"):
            continue
        yield name, value
        if not isinstance(value, torch.Tensor) and [*named_parts(name, value)] == [(name, value)]:
            held = getattr(value, "__dict__", None)
            if type(held) is dict and not isinstance(value, type):
                yield from ((f"{name}.{key}", part) for key, part in list(held.items()))


def _marks_behind(nodes: list[Any]) -> int:
    """The number of marked losses that can be reached from these nodes."""
    return sum(_KEY in node.metadata for node in nodes_of(*nodes, most=_MOST_NODES))


def _line(frame: FrameType, name: str) -> int:
    """The line where a function adds to the variable; the line it is executing if none does."""
    own = re.escape(name)
    adds = re.compile(rf"(?<![\w.]){own}\s*(\+=|=[^=].*(?<![\w.]){own}\b|\.append\(|\[.*\]\s*\+=)")
    first = frame.f_code.co_firstlineno
    for number in range(first, first + _MOST_LINES):
        line = linecache.getline(frame.f_code.co_filename, number)
        if adds.search(line):
            return number
    return frame.f_lineno
