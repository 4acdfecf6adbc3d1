"""Which module's output enters which module, as an adapter reports it in a `graph` event.

Vertices are modules, named by their path, and the operations between them, whose names begin with a
colon. Payloads are read from files: malformed entries are skipped.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

MOST_VERTICES: Final = 1 << 20  # in one graph; the step between the offsets of two graphs
_RECTIFIER = ":relu"
_POOLS = ":maxpool"  # a relu before it and a relu after it rectify the same units


@dataclass(frozen=True, slots=True)
class Vertex:
    """A module (`number` is -1), or one operation of one recorded graph."""

    name: str
    number: int = -1

    @property
    def is_module(self) -> bool:
        """Whether the vertex is a module; its name is then its path."""
        return self.number < 0


Takers = Mapping[Vertex, Collection[Vertex]]


def edges(payload: Mapping[str, Any], offset: int) -> Iterator[tuple[Vertex, Vertex]]:
    """The pairs (from, to) of a graph; `offset` keeps its operations apart from other graphs'."""
    names, pairs = payload.get("vertices"), payload.get("edges")
    if not isinstance(names, list) or not isinstance(pairs, list):
        return
    vertices = [
        Vertex(str(name), number + offset if str(name).startswith(":") else -1)
        for number, name in enumerate(names)
    ]
    for pair in pairs:
        if (
            isinstance(pair, list)
            and len(pair) == 2
            and all(type(end) is int and 0 <= end < len(vertices) for end in pair)
        ):
            yield vertices[pair[0]], vertices[pair[1]]


def is_rectified_outside(vertex: Vertex, takers: Takers) -> bool:
    """Whether the program itself rectifies a module's output: `F.relu(self.conv(x))`.

    Every operation that takes the output must be a relu, directly or behind maximum pooling.
    """
    taking = takers.get(vertex, ())
    return bool(taking) and all(
        _is_relu(taker)
        or (taker.name.startswith(_POOLS) and all(map(_is_relu, takers.get(taker, [vertex]))))
        for taker in taking
    )


def _is_relu(vertex: Vertex) -> bool:
    return vertex.name == _RECTIFIER
