"""Replaces an attribute of Keras or TensorFlow by one that also observes; returns the undo.

Keras attaches facts to tensors (`_keras_logits`, `_keras_mask`): what a layer returns must be
passed on itself, for a copy would lose them.
"""

import functools
from collections.abc import Callable
from typing import Any

from nntrace.adapter.patching import Guard, Undo, calling_after, calling_before, replace, uncounted

__all__ = ["Guard", "Undo", "after", "before", "wrap"]


def wrap(owner: Any, name: str, make: Callable[[Callable[..., Any]], Callable[..., Any]]) -> Undo:
    """Set `owner.name` to `make(original)`, which must call the original; return the undo.

    The wrapper keeps the original's module, by which AutoGraph decides what it converts.
    """
    original = getattr(owner, name)
    return replace(owner, name, functools.wraps(original)(uncounted(make(original))))


def before(owner: Any, name: str, observe: Callable[..., object]) -> Undo:
    """Call `observe(*args, **kwargs)` before each call of `owner.name`."""
    return wrap(owner, name, calling_before(observe))


def after(owner: Any, name: str, observe: Callable[..., object]) -> Undo:
    """Call `observe(result, *args, **kwargs)` after each call of `owner.name`."""
    return wrap(owner, name, calling_after(observe))
