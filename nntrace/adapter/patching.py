"""Puts something in the place of an attribute of a framework, and gives back what undoes it."""

from collections.abc import Callable
from typing import Any

Undo = Callable[[], None]


def replace(owner: Any, name: str, wrapper: Any) -> Undo:
    """Set `owner.name` to `wrapper`; return the undo, which leaves a later patch in its place."""
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
