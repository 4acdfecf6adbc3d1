"""Which module's output enters which other module, read from the graph that autograd built.

Every node of that graph has a sequence number, and module calls note the counter's value: a node
belongs to the innermost module during whose call it was made. Only numbers are kept until the
backward pass, nothing that would keep a graph alive.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import torch

from nntrace.adapter import described
from nntrace.recorder import Recorder
from nntrace.schema import EventKind
from nntrace_torch.program.containers import tensors_within
from nntrace_torch.replay.guard import memory_of

_LOOKS = 8  # backward passes that are looked at: those of a few steps, and of a GAN's parts
_MAX_NODES = 50_000
_MAX_VERTICES = 4_000
# Operations that move or copy elements and change none.
_MOVES = frozenset(
    {
        *("view", "unsafeview", "reshapealias", "transpose", "t", "permute", "squeeze", "alias"),
        *("unsqueeze", "clone", "tocopy", "expand", "unflatten", "viewas"),
    }
)


class _Call(NamedTuple):
    """A call of a module that called no others; its nodes are numbered `start` to `end` - 1."""

    start: int
    end: int
    path: str
    activation: str


class DataFlow:
    """Follows the module calls of a sampled step, then reads the graph of its loss.

    Attributes:
        is_open: whether calls are followed in this step.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._looks = _LOOKS
        self._starts: dict[int, int] = {}
        self._calls: list[_Call] = []
        self._outputs: dict[tuple[Any, ...], str] = {}
        self._detached: dict[str, None] = {}
        self._known: set[tuple[str, str]] = set()
        self.is_open = False

    def begin(self) -> None:
        """A sampled step begins."""
        self.is_open = self._looks > 0
        self._starts.clear()
        self._calls.clear()
        self._outputs.clear()
        self._detached.clear()

    def enter(self, depth: int) -> None:
        """A module is called, within `depth` others."""
        self._starts[depth] = torch._C._autograd._get_sequence_nr()

    def leave(self, depth: int, module: torch.nn.Module, path: str | None, output: Any) -> None:
        """The module entered at `depth` returns; its call is kept if it called no others.

        What the outermost module returns without a gradient may be an inner one's output, detached:
        something beside the graph uses it, too.
        """
        if depth == 1:
            inner = (self._outputs.get(place) for place in _places(output, has_gradient=False))
            self._detached |= dict.fromkeys(name for name in inner if name is not None)
        start = self._starts.pop(depth, None)
        end = torch._C._autograd._get_sequence_nr()
        if start is None or path is None or end == start:
            return
        if not self._calls or self._calls[-1].start < start:
            description = described(module)
            activation = description.activation(module) if description is not None else ""
            self._calls.append(_Call(start, end, path, activation))
            self._outputs |= dict.fromkeys(_places(output, has_gradient=True), path)

    def read(self, losses: Iterable[torch.Tensor]) -> None:
        """Record the graph that leads to the losses, if it has new edges."""
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
        """The names of modules and (with a colon) of operations outside them, and their edges.

        An activation function that a module is known to apply itself is an operation behind it.
        """
        numbers: dict[Any, int] = {}  # of modules by path, of operations by their node
        vertices: list[str] = []
        edges: dict[tuple[int, int], None] = {}
        starts = [call.start for call in self._calls]

        def numbered(key: Any, name: str) -> int:
            if key not in numbers:
                numbers[key] = len(vertices)
                vertices.append(name)
            return numbers[key]

        def ends(node: Any) -> tuple[int, int] | None:
            """A node's vertex as consumer and as source; None if it only moves elements."""
            word, sequence = _word(node), node._sequence_nr()
            place = bisect_right(starts, sequence) - 1
            owner = self._calls[place] if place >= 0 else None
            if owner is not None and sequence < owner.end:
                taker = numbered(owner.path, owner.path)
                if owner.activation in ("", "linear"):
                    return taker, taker
                source = numbered((owner.path, "activation"), f":{owner.activation}")
                edges[taker, source] = None
                return taker, source
            if word in _MOVES or word.endswith("accumulategrad"):
                return None
            number = numbered(node, f":{word}")
            return number, number

        waiting: list[tuple[Any, int | None]] = [
            (loss.grad_fn, None) for loss in losses if loss.grad_fn is not None
        ]
        walked: set[Any] = set()  # nodes; those without a vertex together with their consumer
        while waiting and len(walked) < _MAX_NODES:
            node, taker = waiting.pop()
            own = ends(node)
            if own is not None and taker is not None and taker not in own:
                edges[own[1], taker] = None
            key = node if own is not None else (node, taker)
            if key not in walked:
                walked.add(key)
                taken_by = taker if own is None else own[0]
                waiting += [(source, taken_by) for source in _inputs(node)]
        for path in [path for path in self._detached if path in numbers]:
            edges[numbers[path], numbered((path, "detached"), ":detach")] = None
        return vertices, [list(edge) for edge in edges]


def _inputs(node: Any) -> Iterator[Any]:
    functions: Sequence[tuple[Any, int]] = node.next_functions
    return (function for function, _ in functions if function is not None)


def _places(output: Any, *, has_gradient: bool) -> list[tuple[Any, ...]]:
    """Where the tensors of an output lie, with what makes others at the same place unlikely."""
    return [
        (place, tensor.dtype, tensor.shape)
        for tensor in tensors_within(output)
        if tensor.requires_grad is has_gradient and (place := memory_of(tensor)) is not None
    ]


def _word(node: Any) -> str:
    """`addmm` for `AddmmBackward0`."""
    name = str(node.name()).rpartition("::")[2]
    return re.sub(r"Backward\d*$", "", name).lower()
