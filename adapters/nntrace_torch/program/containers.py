"""The tensors inside values of the program: in containers, dataclasses and plain objects."""

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence

from nntrace_torch.program.module_tree import buffers_of, parameters_of

_MAX_PARTS = 64
_DEPTH = 3


def tensors_in(value: Any) -> Sequence[torch.Tensor]:
    """The tensors of tuples and lists alone, which is all that operations and most models take."""
    if isinstance(value, torch.Tensor):
        return (value,)
    if isinstance(value, (tuple, list)):
        return [tensor for item in value for tensor in tensors_in(item)]
    return ()


def named_parts(name: str, value: Any, depth: int = _DEPTH) -> Iterator[tuple[str, Any]]:
    """The parts of a container or dataclass by name, as `input.0.mask`; of another value itself."""
    parts: Iterable[tuple[Any, Any]]
    if isinstance(value, PackedSequence) or not depth:
        parts = ()
    elif isinstance(value, Mapping):
        parts = value.items()
    elif isinstance(value, (tuple, list)):
        parts = enumerate(value)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        parts = (
            (field.name, getattr(value, field.name, None)) for field in dataclasses.fields(value)
        )
    else:
        parts = ()
    is_leaf = True
    for key, part in itertools.islice(parts, _MAX_PARTS):
        is_leaf = False
        yield from named_parts(f"{name}.{key}", part, depth - 1)
    if is_leaf:
        yield name, value


def named_tensors(name: str, value: Any) -> Iterator[tuple[str, torch.Tensor]]:
    """The tensors inside a value by name, also those that are attributes of a plain object."""
    for own, part in named_parts(name, value):
        if isinstance(part, torch.Tensor):
            yield own, part
        elif isinstance(part, PackedSequence):
            yield own, part.data
        elif _is_plain(part):
            for key, held in itertools.islice(vars(part).items(), _MAX_PARTS):
                if isinstance(held, torch.Tensor):
                    yield f"{own}.{key}", held


def tensors_within(value: Any) -> list[torch.Tensor]:
    """The tensors inside a value."""
    return [tensor for _, tensor in named_tensors("", value)]


def tensors_held(value: Any) -> list[torch.Tensor]:
    """The tensors inside a value; for a module without parameters, as a loss, its buffers."""
    if isinstance(value, nn.Module):
        try:
            return [] if any(True for _ in parameters_of(value)) else list(buffers_of(value))
        except Exception:  # half built, or with attributes that the program computes
            return []
    return tensors_within(value)


def is_list_of_examples(value: Any, others: Iterable[Any]) -> bool:
    """Whether each tensor of a list is one example, as the images given to a detector.

    They are of any size, beside a list of as many dictionaries of targets.
    """
    return (
        isinstance(value, (list, tuple))
        and all(isinstance(one, torch.Tensor) and one.dim() == 3 for one in value)
        and any(
            isinstance(other, (list, tuple))
            and 0 < len(other) == len(value)
            and all(isinstance(one, Mapping) for one in other)
            for other in others
        )
    )


def _is_plain(value: Any) -> bool:
    """Whether it is a plain object with attributes, not a type, a module or one of PyTorch's."""
    module = type(value).__module__.partition(".")[0]
    return (
        hasattr(value, "__dict__")
        and not isinstance(value, (type, nn.Module))
        and not callable(value)
        and module not in ("torch", "builtins", "nntrace", "nntrace_torch")
    )
