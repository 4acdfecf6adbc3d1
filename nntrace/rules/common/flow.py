"""The data flow of the forward pass, with the questions that rules ask about it."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator

from nntrace.dataflow import MOST_VERTICES, Vertex, edges, is_rectified_outside
from nntrace.schema import EventKind, Role
from nntrace.trace import Site, Trace

UNKNOWN_FLOW = (
    "which layer feeds which was not recorded (it is for PyTorch outside compiled graphs, for "
    "Keras on TensorFlow in `fit` and in `tf.function`, and on JAX in `fit` and in jitted loops)"
)
_AFFINE = ("linear", "dense", "einsumdense", "conv1d", "conv2d", "conv3d")
# Parts of the class names of modules that are linear themselves, or only move elements.
_PASSIVE = (
    *("identity", "flatten", "unflatten", "dropout", "avgpool", "batchnorm"),
    *("averagepooling", "reshape", "permute", "zeropadding", "cropping", "repeatvector"),
)
# What makes each number out of all units of an example: sums, norms and softmax.
_MIXES_UNITS = ("sum", "mean", "linalgvectornorm", "softmax", "logsoftmax", "logsumexp")
_HINGES = (":relu", ":clamp", ":clampmin", ":softplus")
_MULTIPLIES = (":mm", ":addmm", ":bmm", ":baddbmm", ":convolution", ":linear", ":matmul")


class Flow:
    """Which vertex of the data flow feeds which.

    Attributes:
        takers: for each vertex, the vertices that take its output.
        sources: for each vertex, the vertices whose output it takes.
        kinds: the class name, in lower case, of each module, by path.
        weighted: the paths of the modules that hold parameters.
    """

    def __init__(self, trace: Trace) -> None:
        self.takers: defaultdict[Vertex, set[Vertex]] = defaultdict(set)
        self.sources: defaultdict[Vertex, set[Vertex]] = defaultdict(set)
        self.sites = {site.path: site for site in trace.sites_of(Role.ACTIVATION)}
        self.kinds = {path: site.module_type.lower() for path, site in self.sites.items()}
        self.weighted = {site.parent for site in trace.sites_of(Role.PARAM)}
        offset = 0
        for event in trace.events_of(EventKind.GRAPH):
            for one, two in edges(event.payload, offset):
                self.takers[one].add(two)
                self.sources[two].add(one)
            offset += MOST_VERTICES

    def __bool__(self) -> bool:
        return bool(self.takers)

    def modules(self) -> Iterator[tuple[Vertex, Site]]:
        """The modules whose output was recorded, in depth order."""
        for path, site in self.sites.items():
            vertex = Vertex(path)
            if vertex in self.takers or vertex in self.sources:
                yield vertex, site

    def kind(self, vertex: Vertex) -> str:
        """The class name of a module, in lower case, or the name of an operation."""
        return self.kinds.get(vertex.name, "") if vertex.is_module else vertex.name

    def is_affine(self, vertex: Vertex) -> bool:
        """Whether a vertex is a linear layer or a convolution."""
        return vertex.is_module and self.kind(vertex) in _AFFINE

    def is_passive(self, vertex: Vertex) -> bool:
        """Whether a vertex is a module that adds no nonlinearity."""
        kind = self.kind(vertex)
        return vertex.is_module and any(word in kind for word in _PASSIVE)

    def multiplies(self, vertex: Vertex) -> bool:
        """Whether a vertex is a matrix product or convolution outside any layer."""
        return not vertex.is_module and vertex.name in _MULTIPLIES

    def is_rectified_outside(self, site: Site) -> bool:
        """Whether the program itself rectifies the output of a module (`F.relu`)."""
        return is_rectified_outside(Vertex(site.path), self.takers)

    def is_gated(self, vertex: Vertex) -> bool:
        """Whether one half of a vertex's output gates the other."""
        return any(self.kind(taker).lstrip(":") == "glu" for taker in self.takers.get(vertex, ()))

    def is_exponentiated(self, vertex: Vertex) -> bool:
        """Whether the program takes the exponential of each of a vertex's units: of a log scale."""
        seen: set[Vertex] = set()
        ahead = set(self.takers.get(vertex, ()))
        while ahead:
            if any(taker.name == ":exp" for taker in ahead):
                return True
            seen |= ahead
            onward = [taker for taker in ahead if not self._mixes_units(taker)]
            ahead = {taker for one in onward for taker in self.takers.get(one, ())} - seen
        return False

    def _mixes_units(self, vertex: Vertex) -> bool:
        if self.is_affine(vertex) or (vertex.is_module and vertex.name in self.weighted):
            return True
        return self.multiplies(vertex) or self.kind(vertex).lstrip(":") in _MIXES_UNITS

    def only_taker(self, vertex: Vertex) -> Vertex | None:
        """The one vertex that takes a vertex's output; None if there are none or several."""
        takers = self.takers.get(vertex, set())
        return next(iter(takers)) if len(takers) == 1 else None

    def behind(self, vertices: Iterable[Vertex]) -> set[Vertex]:
        """All to which the outputs of these come by some way."""
        seen: set[Vertex] = set()
        ahead = {taker for vertex in vertices for taker in self.takers.get(vertex, ())}
        while ahead:
            seen |= ahead
            ahead = {taker for vertex in ahead for taker in self.takers.get(vertex, ())} - seen
        return seen

    def is_hinge_of_chosen(self) -> bool:
        """Whether the loss is a hinge of outputs that the program picks by an index.

        So it does with the triplets that violate a margin.
        """
        picks = [
            vertex
            for vertex in self.takers
            if vertex.name == ":index"
            and self.sources.get(vertex)
            and not any(behind.is_module for behind in self.behind([vertex]))
        ]
        return any(behind.name in _HINGES for behind in self.behind(picks))

    def is_last(self, path: str, layers: Collection[str]) -> bool:
        """Whether a module's output is taken, but reaches none of `layers` by any way.

        This holds for the head of each of several models, wherever it stands among their layers.
        """
        behind = self.behind([Vertex(path)])
        return bool(behind) and not any(v.is_module and v.name in layers for v in behind)

    def is_apart(self, one: str, two: str, layers: Collection[str]) -> bool:
        """Whether a module's output is taken, but does not reach a later one by any way.

        If it is not known who takes the later one's output, it must reach none of `layers`.
        """
        if one == two or one not in self.sites:
            return False
        behind = self.behind([Vertex(one)])
        if two in self.sites and Vertex(two) in self.takers:
            return bool(behind) and Vertex(two) not in behind
        return self.is_last(one, layers)
