"""Module paths as a collapsible tree: which lines are visible, and in which order."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

ROOT = ""
_DEEPEST = 30  # names come from user code: a path of a thousand dots becomes one line, not 1000


@dataclass(frozen=True, slots=True)
class Node:
    """A line of the tree.

    Attributes:
        path: the path of the module.
        label: its last part, or the whole path in a flat list.
        depth: 0 for the outermost lines.
        layer: the index of the layer with that path; None for a group that is no layer itself.
        inside: the indices of all layers at and below it.
        is_group: whether there is anything below it.
        is_folded: whether what is below it is hidden.
    """

    path: str
    label: str
    depth: int
    layer: int | None
    inside: tuple[int, ...]
    is_group: bool = False
    is_folded: bool = False


def tree(
    paths: Sequence[str], folded: Collection[str] = (), separator: str = "."
) -> tuple[Node, ...]:
    """Return the lines in execution order: each group above its members, unless it is folded."""
    index = {path: number for number, path in enumerate(paths)}
    members: dict[str, list[int]] = {}
    order: dict[str, None] = {}
    for number, path in enumerate(paths):
        for group in [*ancestors(path, separator), path]:
            order.setdefault(group)
            members.setdefault(group, []).append(number)
    # In execution order a container's output comes after its members; its line is above them.
    children: dict[str, list[str]] = {}
    for path in order:
        children.setdefault(_parent(path, separator), []).append(path)
    lines: list[Node] = []

    def add(path: str, depth: int) -> None:
        below = children.get(path, []) if path != ROOT else []
        lines.append(
            Node(
                path,
                path[len(_parent(path, separator)) + 1 :] if depth else path,
                depth,
                index.get(path),
                tuple(members[path]),
                bool(below),
                path in folded,
            )
        )
        if path not in folded:
            for child in below:
                add(child, depth + 1)

    for path in children.get(ROOT, []):
        add(path, 0)
    return tuple(lines)


def flat(paths: Sequence[str], order: Sequence[int], words: str = "") -> tuple[Node, ...]:
    """Return the layers whose paths contain all words, in the given order, with whole paths."""
    wanted = words.lower().split()
    return tuple(
        Node(paths[number], paths[number], 0, number, (number,))
        for number in order
        if all(word in paths[number].lower() for word in wanted)
    )


def groups(paths: Sequence[str], deeper_than: int = 0, separator: str = ".") -> frozenset[str]:
    """Return the paths that have members, at that depth or deeper."""
    return frozenset(g for path in paths for g in ancestors(path, separator)[deeper_than:])


def ancestors(path: str, separator: str = ".") -> list[str]:
    """Return the groups around a path: `a` and `a.b` for `a.b.c`."""
    parts = path.split(separator)
    return [separator.join(parts[:end]) for end in range(1, min(len(parts), _DEEPEST))]


def _parent(path: str, separator: str) -> str:
    return next(reversed(ancestors(path, separator)), ROOT)
