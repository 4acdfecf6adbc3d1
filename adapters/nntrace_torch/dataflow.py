"""Which module's output enters which: read once off the graph that autograd built.

Every node of that graph has a sequence number, and so have the calls of modules: a node belongs to
the innermost module during whose call it was made. Only numbers are kept until the backward pass,
nothing that would keep a graph alive.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch

from nntrace.recorder import Recorder
from nntrace.schema import EventKind

_LOOKS = 8  # backward passes that are looked at: of a GAN's parts, of the first few steps
_MAX_NODES = 50_000
_MAX_VERTICES = 4_000
# They move elements, or copy all of them, and change none.
_MOVES = frozenset(
    {
        *("view", "unsafeview", "reshapealias", "transpose", "t", "permute", "squeeze", "alias"),
        *("unsqueeze", "clone", "tocopy", "expand", "unflatten", "viewas"),
    }
)


class DataFlow:
    """Follows the module calls of a sampled step, then reads the graph of its loss.

    Attributes:
        is_open: whether calls are followed; no hook needs to ask for more.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._looks = _LOOKS
        self._starts: dict[int, int] = {}
        self._calls: list[tuple[int, int, str]] = []
        self._known: set[tuple[str, str]] = set()
        self.is_open = False

    def begin(self) -> None:
        """A sampled step begins."""
        self.is_open = self._looks > 0
        self._starts.clear()
        self._calls.clear()

    def enter(self, depth: int) -> None:
        """A module is called; `depth` modules are around it."""
        self._starts[depth] = torch._C._autograd._get_sequence_nr()

    def leave(self, depth: int, path: str | None) -> None:
        """The module that was entered at that depth returns; kept, unless it called others."""
        start = self._starts.pop(depth, None)
        end = torch._C._autograd._get_sequence_nr()
        if start is None or path is None or end == start:
            return
        if not self._calls or self._calls[-1][0] < start:
            self._calls.append((start, end, path))

    def read(self, losses: Iterable[torch.Tensor]) -> None:
        """Record what leads to the losses, as far as it is new."""
        self._looks -= 1
        vertices, edges = self._vertices_and_edges(losses)
        named = {(vertices[one], vertices[two]) for one, two in edges}
        if named - self._known and len(vertices) <= _MAX_VERTICES:
            self._known |= named
            self._recorder.add_event(EventKind.GRAPH, {"vertices": vertices, "edges": edges})
        if self._looks <= 0:
            self.is_open = False

    def _vertices_and_edges(
        self, losses: Iterable[torch.Tensor]
    ) -> tuple[list[str], list[list[int]]]:
        """Names of modules and (with a colon) of operations outside them; who feeds whom."""
        numbers: dict[Any, int] = {}  # of modules by path, of operations by their node
        vertices: list[str] = []
        edges: dict[tuple[int, int], None] = {}
        starts = [start for start, _, _ in self._calls]

        def vertex(node: Any) -> int | None:
            """Its vertex; None for what only moves elements, and for parameters."""
            word, sequence = _word(node), node._sequence_nr()
            place = bisect_right(starts, sequence) - 1
            owner = self._calls[place] if place >= 0 else None
            if owner is not None and sequence < owner[1]:
                key: Any = owner[2]
            elif word in _MOVES or word.endswith("accumulategrad"):
                return None
            else:
                key = node
            if key not in numbers:
                numbers[key] = len(vertices)
                vertices.append(key if isinstance(key, str) else f":{word}")
            return numbers[key]

        waiting: list[tuple[Any, int | None]] = [
            (loss.grad_fn, None) for loss in losses if loss.grad_fn is not None
        ]
        walked: set[Any] = set()  # nodes, and for those that are no vertex who takes them
        while waiting and len(walked) < _MAX_NODES:
            node, taker = waiting.pop()
            own = vertex(node)
            if own is not None and taker is not None and own != taker:
                edges[own, taker] = None
            key = node if own is not None else (node, taker)
            if key not in walked:
                walked.add(key)
                taken_by = taker if own is None else own
                waiting += [(source, taken_by) for source in _inputs(node)]
        return vertices, [list(edge) for edge in edges]


def _inputs(node: Any) -> Iterator[Any]:
    functions: Sequence[tuple[Any, int]] = node.next_functions
    return (function for function, _ in functions if function is not None)


def _word(node: Any) -> str:
    """`addmm` for `AddmmBackward0`."""
    name = str(node.name()).rpartition("::")[2]
    return re.sub(r"Backward\d*$", "", name).lower()
