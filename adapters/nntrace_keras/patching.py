"""Replaces an attribute of Keras or TensorFlow by one that also observes; gives back the undo.

The original is called with the caller's arguments and the very object it returns is handed on:
Keras hides facts on tensors (`_keras_logits`, `_keras_mask`) that a copy would lose.
"""

import functools
from collections.abc import Callable
from typing import Any

from nntrace.adapter.patching import Undo, replace

__all__ = ["Undo", "after", "before", "wrap"]


def wrap(owner: Any, name: str, make: Callable[[Callable[..., Any]], Callable[..., Any]]) -> Undo:
    """Set `owner.name` to `make(original)`, which must call the original; return the undo.

    The wrapper keeps the original's module, by which AutoGraph decides what it converts.
    """
    original = getattr(owner, name)
    return replace(owner, name, functools.wraps(original)(make(original)))


def before(owner: Any, name: str, observe: Callable[..., object]) -> Undo:
    """Call `observe(*args, **kwargs)` before each call of `owner.name`."""

    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            observe(*args, **kwargs)
            return original(*args, **kwargs)

        return wrapper

    return wrap(owner, name, make)


def after(owner: Any, name: str, observe: Callable[..., object]) -> Undo:
    """Call `observe(result, *args, **kwargs)` after each call of `owner.name`."""

    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            result = original(*args, **kwargs)
            observe(result, *args, **kwargs)
            return result

        return wrapper

    return wrap(owner, name, make)
