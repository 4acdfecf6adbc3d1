"""Module paths as a collapsible tree: which lines are visible, and in which order."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import islice

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


def tree(paths: Sequence[str], folded: Collection[str] = ()) -> tuple[Node, ...]:
    """Return the lines in execution order: each group above its members, unless it is folded."""
    index = {path: number for number, path in enumerate(paths)}
    members: dict[str, list[int]] = {}
    order: dict[str, None] = {}
    for number, path in enumerate(paths):
        for group in [*ancestors(path), path]:
            order.setdefault(group)
            members.setdefault(group, []).append(number)
        # In execution order a container's output comes after its members; its line is above them.
    children: dict[str, list[str]] = {}
    for path in order:
        children.setdefault(_parent(path), []).append(path)
    lines: list[Node] = []

    def add(path: str, depth: int) -> None:
        below = children.get(path, []) if path != ROOT else []
        lines.append(
            Node(
                path,
                path[len(_parent(path)) + 1 :] if depth else path,
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


def groups(paths: Sequence[str], deeper_than: int = 0) -> frozenset[str]:
    """Return the paths that have members, at that depth or deeper."""
    return frozenset(group for path in paths for group in ancestors(path)[deeper_than:])


def ancestors(path: str) -> list[str]:
    """Return the groups around a path: `a` and `a.b` for `a.b.c`, `a` and `a/b` for `a/b/c`."""
    separators = islice(re.finditer(r"(?<=.)[./]", path), _DEEPEST - 1)
    return [path[: one.start()] for one in separators]


def _parent(path: str) -> str:
    return next(reversed(ancestors(path)), ROOT)
