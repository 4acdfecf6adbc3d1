"""Replaces an attribute of a framework and returns a function that undoes it."""

from collections.abc import Callable
from typing import Any

Undo = Callable[[], None]


def replace(owner: Any, name: str, wrapper: Any) -> Undo:
    """Set `owner.name` to `wrapper`; the undo does nothing once someone has patched over it."""
    original = getattr(owner, name)
    inherited = name not in vars(owner)
    is_static = name == "__new__"  # what Python makes static only within the class statement
    held = staticmethod(wrapper) if is_static else wrapper
    setattr(owner, name, held)

    def undo() -> None:
        if vars(owner).get(name) is not held:
            return  # someone patched over us: taking theirs off would be worse
        if inherited:
            delattr(owner, name)
        else:
            setattr(owner, name, staticmethod(original) if is_static else original)

    return undo
