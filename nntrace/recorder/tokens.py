"""Finds the program's table of token ids, so that the first batch of text can be shown readably.

The table is looked for where programs keep it: the script's global names, the data set and the
collate function of a loader, and what these hold. Plain dictionaries and lists are only read; known
tokenizers are asked for their vocabulary. A table counts when it has a token for every id of the
batch (but for padding) and as many entries as a weight of the model has rows; where two such tables
disagree, none counts.
"""

import re
import sys
import weakref
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from types import FunctionType, MethodType, ModuleType
from typing import Any, Final

import numpy as np

from nntrace.recorder.sample import KeptTensor
from nntrace.schema import SPARE_ROWS, Role

SHOWN_TOKENS: Final = 96  # of a row
_LONGEST: Final = 64  # characters of a token
_MOST_OBJECTS: Final = 3000
_DEEPEST: Final = 4  # objects that hold one another
_LARGEST: Final = 2_000_000  # tokens of a table
_LARGE: Final = 1000  # from this many tokens on, a weight's rows may be rounded up
_PADDED_TO: Final = (64, 128)  # to a multiple of one of these
_OF_WORDS: Final = re.compile(
    r"itos|vocab|(idx|id|ix|i|int|index)_?(2|to)|index_word|alphabet|chars?\b|characters|letters"
    r"|symbols|tokens|words\b",
    re.IGNORECASE,
)
# Packages whose objects are never searched: they are many, and none holds a table.
_CLOSED: Final = ("numpy", "pandas", "jax", "matplotlib", "logging", "threading", "nntrace")
_CLOSED_FRAMEWORKS: Final = ("torch", "tensorflow", "keras")
_OPEN_PARTS: Final = ("torch.utils.data",)

Table = Mapping[int, str]


@dataclass(frozen=True, slots=True)
class Found:
    """The tokens of one kept tensor.

    Attributes:
        path: the path of the tensor.
        source: the name under which the program keeps the table.
        tokens: the tokens by id, for the ids in the part of the tensor that is shown.
    """

    path: str
    source: str
    tokens: Table

    def payload(self) -> dict[str, Any]:
        """The payload of the `tokens` event."""
        return {"path": self.path, "source": self.source, "tokens": self.tokens}


class TokenSearch:
    """Searches for token tables once, when the first batch is kept."""

    def __init__(self) -> None:
        self._near: list[Callable[[], object]] = []
        self._rows: set[int] = set()
        self._is_over = False

    def look_in(self, thing: object) -> None:
        """Search an object, too, such as a loader or its data set."""
        if self._is_over:
            return
        with suppress(TypeError):  # it cannot be referred to weakly
            self._near.append(weakref.ref(thing))

    def has_weight(self, shape: Iterable[int]) -> None:
        """Note that the model has a weight of this shape."""
        sizes = tuple(shape)
        if len(sizes) == 2:
            self._rows.add(sizes[0])

    def find_once(self, kept: Iterable[KeptTensor]) -> list[Found]:
        """The result of `find` on the first call; empty on later calls."""
        found: list[Found] = []
        if not self._is_over:
            self.end()
            with suppress(Exception):  # of the program's own objects
                found += self.find(kept)
            self._near.clear()
        return found

    def end(self) -> None:
        """End the search for good."""
        self._is_over = True

    def find(self, kept: Iterable[KeptTensor]) -> Iterator[Found]:
        """The tokens of the tensors whose table is known beyond doubt."""
        texts = [tensor for tensor in kept if _holds_ids(tensor)]
        if not texts or not self._rows:
            return
        tables = [table for table in self._tables() if self._fits(table)]
        for tensor in texts:
            ids = {int(value) for value in np.unique(tensor.values[:, :SHOWN_TOKENS])}
            read = [(table.name, table.read(ids)) for table in tables]
            whole = [(n, tokens) for n, tokens in read if len(ids) - len(tokens) <= SPARE_ROWS]
            if whole and all(tokens == whole[0][1] for _, tokens in whole):
                yield Found(tensor.path, *whole[0])

    def _fits(self, table: "_Table") -> bool:
        """Whether some weight has as many rows as the table has tokens, spare rows included."""
        size, spare = table.size, SPARE_ROWS if table.names_ids else 0
        return any(
            0 <= rows - size <= spare
            or (size >= _LARGE and any(rows == -(-size // n) * n for n in _PADDED_TO))
            for rows in self._rows
        )

    def _tables(self) -> "Iterator[_Table]":
        roots: list[tuple[str, object]] = [("", vars(sys.modules["__main__"]))]
        roots += [("", thing) for near in self._near if (thing := near()) is not None]
        seen: set[int] = set()
        waiting = [(name, value, 0) for name, value in roots]
        while waiting and len(seen) < _MOST_OBJECTS:
            name, value, depth = waiting.pop(0)
            if id(value) in seen:
                continue
            seen.add(id(value))
            with suppress(Exception):  # whatever a program's own objects do when looked at
                table = _table(name, value) if depth else None
                if table is not None:
                    yield table
                elif depth < _DEEPEST:
                    waiting += [(n, held, depth + 1) for n, held in _held(value, at_root=not depth)]


@dataclass(frozen=True, slots=True)
class _Table:
    """A candidate table.

    Attributes:
        name: the name under which the program keeps it.
        size: the number of its tokens.
        read: returns the tokens of some ids, by id.
        names_ids: whether it holds the ids. Else they count from zero, and the weight may have no
            spare row, as its place would be unknown.
    """

    name: str
    size: int
    read: Callable[[set[int]], Table]
    names_ids: bool = False


def _holds_ids(tensor: KeptTensor) -> bool:
    """Whether a tensor may be rows of token ids."""
    return (
        tensor.role is Role.INPUT
        and tensor.values.ndim == 2
        and tensor.values.shape[1] > 1
        and "int" in tensor.dtype
    )


def _held(value: object, *, at_root: bool) -> Iterator[tuple[str, object]]:
    """What an object holds, by name, without asking it to compute anything."""
    if at_root and isinstance(value, dict):
        yield from ((n, v) for n, v in list(value.items()) if not n.startswith("__"))
    elif type(value) is MethodType:
        yield "", value.__self__
    elif type(value) is partial:
        yield "", value.func
        yield from value.keywords.items()
    elif type(value) is FunctionType:
        cells = value.__closure__ or ()
        for name, cell in zip(value.__code__.co_freevars, cells, strict=False):
            with suppress(ValueError):  # not assigned yet
                yield name, cell.cell_contents
        names = value.__code__.co_names
        yield from ((n, value.__globals__[n]) for n in names if n in value.__globals__)
    elif _is_open(type(value).__module__) and not issubclass(type(value), ModuleType):
        # As `vars`, but bypassing a class's own attribute access.
        yield from list(object.__getattribute__(value, "__dict__").items())


def _is_open(module: str) -> bool:
    package = module.partition(".")[0]
    if package in _CLOSED_FRAMEWORKS:
        return module.startswith(_OPEN_PARTS)
    return package not in _CLOSED and package != "builtins"


def _table(name: str, value: Any) -> _Table | None:
    """The object as a table, or None if it is none."""
    if type(value) in (dict, OrderedDict, defaultdict):
        return _of_dictionary(name, value)
    if type(value) in (list, tuple, str):
        return _of_list(name, value) if _OF_WORDS.search(name) else None
    of = type(value)
    for package, kind, vocabulary in _TOKENIZERS:
        bases = [base.__name__ for base in of.__mro__ if base.__module__.startswith(package)]
        if any(re.fullmatch(kind, base) for base in bases):
            content = vocabulary(value)
            made = _of_list if isinstance(content, list) else _of_dictionary
            return made(name or of.__name__, content)
    return None


def _of_dictionary(name: str, value: Mapping[Any, Any]) -> _Table | None:
    """A dictionary between tokens and ids as a table, if its ids are distinct and without gaps.

    Dictionaries of counts, and indices of other things, are no tables.
    """
    size = len(value)
    if not 2 <= size <= _LARGEST:
        return None
    first, second = next(iter(value.items()))
    pairs = list(value.items())
    if isinstance(first, str) and type(second) is int:
        pairs = [(number, token) for token, number in pairs]
    elif not (type(first) is int and isinstance(second, str)):
        return None
    if not all(type(number) is int and isinstance(token, str) for number, token in pairs):
        return None
    numbers = {number for number, _ in pairs}
    if len(numbers) < size or min(numbers) < 0 or max(numbers) >= size + SPARE_ROWS:
        return None
    return _Table(name, size, lambda ids: {n: _short(t) for n, t in pairs if n in ids}, True)


def _of_list(name: str, value: Any) -> _Table | None:
    if not 2 <= len(value) <= _LARGEST or not all(isinstance(token, str) for token in value):
        return None
    if len(set(value)) < len(value) - SPARE_ROWS:  # a text, not a vocabulary
        return None
    tokens = list(value)
    return _Table(
        name, len(tokens), lambda ids: {n: _short(tokens[n]) for n in ids if 0 <= n < len(tokens)}
    )


def _short(token: str) -> str:
    return token[:_LONGEST]


# Package, pattern of the class and how to get the vocabulary: no call changes the tokenizer.
_TOKENIZERS: Final[tuple[tuple[str, str, Callable[[Any], Any]], ...]] = (
    ("transformers", "PreTrainedTokenizer.*", lambda tokenizer: dict(tokenizer.get_vocab())),
    ("tokenizers", "Tokenizer", lambda tokenizer: dict(tokenizer.get_vocab())),
    ("torchtext", "Vocab", lambda vocabulary: list(vocabulary.get_itos())),
    ("keras", "TextVectorization|StringLookup", lambda layer: list(layer.get_vocabulary())),
)
