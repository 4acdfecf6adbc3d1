"""Finds the tensors among the arguments and results of a call, however they are nested."""

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

_RAGGED = ("RaggedTensor", "SparseTensor")  # TensorFlow's, which need not be installed


def first_tensor(value: Any) -> Any:
    """The tensor that stands for an output: the first one in a tuple, list or mapping."""
    return next((t for _, t in _walk("", value)), None)


def first_input(args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[tuple[str, Any]]:
    """The first tensor among the arguments of a call, with its name."""
    return named_tensors(args, kwargs)[:1]


def named_tensors(args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[tuple[str, Any]]:
    """The tensors and arrays among the arguments of a call, with names."""
    found: list[tuple[str, Any]] = []
    for number, value in enumerate(args):
        items = list(_walk(f"input.{number}", value))
        found += [(name.replace("input.0.", "input.", 1), t) for name, t in items]
    for name, value in kwargs.items():
        if name not in ("training", "mask"):
            found += _walk(f"input.{name}", value)
    return found


def _walk(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, np.ndarray) or (keras.ops.is_tensor(value) and hasattr(value, "shape")):
        if type(value).__name__ not in _RAGGED and not isinstance(value, keras.KerasTensor):
            yield name, value
    elif isinstance(value, dict):
        for part, item in value.items():
            yield from _walk(f"{name}.{part}", item)
    elif isinstance(value, tuple | list):
        for number, item in enumerate(value):
            yield from _walk(f"{name}.{number}", item)
