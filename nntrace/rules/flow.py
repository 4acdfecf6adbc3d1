"""The data flow of the forward pass: which module's output enters which, as the adapter read it.

Vertices are modules, by path, and the operations between them, whose names begin with a colon.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from nntrace.schema import EventKind, Role
from nntrace.trace import Event, Site, Trace

UNKNOWN_FLOW = (
    "which layer feeds which was not recorded (it is for PyTorch outside compiled graphs, and for "
    "Keras on TensorFlow in `fit` and in `tf.function`)"
)
_AFFINE = ("linear", "dense", "einsumdense", "conv1d", "conv2d", "conv3d")
# They are linear themselves, or only move elements.
_PASSIVE = (
    *("identity", "flatten", "unflatten", "dropout", "avgpool", "batchnorm"),
    *("averagepooling", "reshape", "permute", "zeropadding", "cropping", "repeatvector"),
)
_MULTIPLIES = (":mm", ":addmm", ":bmm", ":baddbmm", ":convolution", ":linear", ":matmul")


@dataclass(frozen=True, slots=True)
class Vertex:
    """A module, or one operation of one recorded graph."""

    name: str
    number: int = -1

    @property
    def is_module(self) -> bool:
        """Whether it is a module; its name is then its path."""
        return self.number < 0


class Flow:
    """What feeds what.

    Attributes:
        takers: by vertex the vertices that take its output.
        sources: by vertex the vertices whose output it takes.
        kinds: by path of a module the name of its class, in lower case.
    """

    def __init__(self, trace: Trace) -> None:
        self.takers: defaultdict[Vertex, set[Vertex]] = defaultdict(set)
        self.sources: defaultdict[Vertex, set[Vertex]] = defaultdict(set)
        self.sites = {site.path: site for site in trace.sites_of(Role.ACTIVATION)}
        self.kinds = {path: site.module_type.lower() for path, site in self.sites.items()}
        offset = 0
        for event in trace.events_of(EventKind.GRAPH):
            for one, two in _edges(event, offset):
                self.takers[one].add(two)
                self.sources[two].add(one)
            offset += 1 << 20

    def __bool__(self) -> bool:
        return bool(self.takers)

    def modules(self) -> Iterator[tuple[Vertex, Site]]:
        """The modules whose output was recorded, in depth order."""
        for path, site in self.sites.items():
            vertex = Vertex(path)
            if vertex in self.takers or vertex in self.sources:
                yield vertex, site

    def kind(self, vertex: Vertex) -> str:
        """The class of a module in lower case, the name of an operation."""
        return self.kinds.get(vertex.name, "") if vertex.is_module else vertex.name

    def is_affine(self, vertex: Vertex) -> bool:
        """Whether it is a linear layer or a convolution."""
        return vertex.is_module and self.kind(vertex) in _AFFINE

    def is_passive(self, vertex: Vertex) -> bool:
        """Whether it adds no nonlinearity."""
        kind = self.kind(vertex)
        return vertex.is_module and any(word in kind for word in _PASSIVE)

    def multiplies(self, vertex: Vertex) -> bool:
        """Whether it is a matrix product or convolution outside any layer."""
        return not vertex.is_module and vertex.name in _MULTIPLIES

    def only_taker(self, vertex: Vertex) -> Vertex | None:
        """What takes its output, when that is one thing."""
        takers = self.takers.get(vertex, set())
        return next(iter(takers)) if len(takers) == 1 else None


def _edges(event: Event, offset: int) -> Iterator[tuple[Vertex, Vertex]]:
    """The edges of one graph, as far as the payload makes sense."""
    names, edges = event.payload.get("vertices"), event.payload.get("edges")
    if not isinstance(names, list) or not isinstance(edges, list):
        return
    vertices = [
        Vertex(str(name), number + offset if str(name).startswith(":") else -1)
        for number, name in enumerate(names)
    ]
    for edge in edges:
        if (
            isinstance(edge, list)
            and len(edge) == 2
            and all(type(end) is int and 0 <= end < len(vertices) for end in edge)
        ):
            yield vertices[edge[0]], vertices[edge[1]]
