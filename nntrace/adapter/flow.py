"""Which module's output enters which, read off the graph that a framework built of a step.

Operations are numbered in the order in which they were made, and so are the calls of modules: an
operation belongs to the module during whose call it was made. `nntrace.dataflow` reads the events.
"""

from bisect import bisect_right
from collections.abc import Callable, Hashable, Iterable, Sequence
from math import inf
from typing import TYPE_CHECKING, Any, NamedTuple

from nntrace.schema import EventKind

if TYPE_CHECKING:
    from nntrace.recorder import Recorder

_MOST_VERTICES = 4_000


class ModuleCall(NamedTuple):
    """A call of a module that called no others; its operations are numbered `start` to `end` - 1.

    `activation` is the activation function that the module is known to apply itself; else "".
    """

    start: int
    end: int
    path: str
    activation: str


# An operation, as an adapter describes it: what tells it from all others of the graph; its place in
# the order in which they were made; and its name in lower case, as PyTorch calls it, empty if it
# only moves elements, so that what it takes feeds what takes its result.
Operation = tuple[Hashable, int, str]


class FlowGraph:
    """The vertices and edges of one graph, found on the way back from its losses.

    An activation function that a module applies itself is an operation after the module.

    Attributes:
        vertices: the paths of modules, and after a colon the names of operations outside them.
        edges: the numbers of two vertices: a source, and what takes its output.
    """

    def __init__(self, calls: Sequence[ModuleCall]) -> None:
        self.vertices: list[str] = []
        self.edges: dict[tuple[int, int], None] = {}
        self._calls = calls
        self._starts = [call.start for call in calls]
        self._numbers: dict[Hashable, int] = {}

    def walk(
        self,
        losses: Iterable[Any],
        describe: Callable[[Any], Operation],
        inputs: Callable[[Any], Iterable[Any]],
        most: float = inf,
    ) -> None:
        """Follow the graph back from its losses.

        Args:
            losses: the operations that made them.
            describe: says what an operation of the framework is.
            inputs: the operations that made what an operation takes.
            most: operations that are walked at most.
        """
        waiting: list[tuple[Any, int | None]] = [(loss, None) for loss in losses]
        walked: set[Hashable] = set()  # those that are no vertex once for each of their takers
        while waiting and len(walked) < most and len(self.vertices) <= _MOST_VERTICES:
            found, taker = waiting.pop()
            key, number, name = describe(found)
            own = self._ends(key, number, name)
            if own is None:
                key = (key, taker)
            elif taker is not None and taker not in own:
                self.edges[own[1], taker] = None
            if key not in walked:
                walked.add(key)
                taken_by = taker if own is None else own[0]
                waiting += [(source, taken_by) for source in inputs(found)]

    def call_of(self, number: int) -> ModuleCall | None:
        """The call during which an operation was made; None if it was made outside of all."""
        place = bisect_right(self._starts, number) - 1
        return self._calls[place] if place >= 0 and number < self._calls[place].end else None

    def detach(self, path: str) -> None:
        """Note that a module's output is used beside the graph, too, if the module is in it."""
        if path in self._numbers:
            beside = self._numbered((path, "detached"), ":detach")
            self.edges[self._numbers[path], beside] = None

    def _ends(self, key: Hashable, number: int, name: str) -> tuple[int, int] | None:
        """An operation's vertices as a taker and as a source; None if it only moves elements."""
        call = self.call_of(number)
        if call is not None:
            taker = self._numbered(call.path, call.path)
            if call.activation in ("", "linear"):
                return taker, taker
            source = self._numbered((call.path, "activation"), f":{call.activation}")
            self.edges[taker, source] = None
            return taker, source
        if not name:
            return None
        own = self._numbered(key, f":{name}")
        return own, own

    def _numbered(self, key: Hashable, name: str) -> int:
        """The number of a vertex, which is added if it is new."""
        if key not in self._numbers:
            self._numbers[key] = len(self.vertices)
            self.vertices.append(name)
        return self._numbers[key]


class NewGraphs:
    """Records the graphs that have an edge which none before them had."""

    def __init__(self, recorder: "Recorder") -> None:
        self._recorder = recorder
        self._known: set[tuple[str, str]] = set()

    def add(self, graph: FlowGraph) -> None:
        """Record a graph, if it is new and was small enough to be walked to its end."""
        names = graph.vertices
        edges = {(names[one], names[two]) for one, two in graph.edges}
        if edges - self._known and len(names) <= _MOST_VERTICES:
            self._known |= edges
            pairs = [list(edge) for edge in graph.edges]
            self._recorder.add_event(EventKind.GRAPH, {"vertices": names, "edges": pairs})
