"""Replaces an attribute of a framework by one that also observes; gives back what undoes it.

The original is called with exactly the caller's arguments, and the very object it returns is
handed on.
"""

from collections.abc import Callable
from typing import Any

Undo = Callable[[], None]
Function = Callable[..., Any]


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


def calling_before(
    observe: Function, unless: Callable[[], bool] | None = None
) -> Callable[[Function], Function]:
    """What makes of a function one that calls `observe(*args, **kwargs)` first.

    Args:
        unless: asked at each call whether nothing is to be observed.
    """

    def make(original: Function) -> Function:
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            if unless is None or not unless():
                observe(*args, **kwargs)
            return original(*args, **kwargs)

        return wrapper

    return make


def calling_after(
    observe: Function, unless: Callable[[], bool] | None = None
) -> Callable[[Function], Function]:
    """What makes of a function one that calls `observe(result, *args, **kwargs)` afterwards.

    Args:
        unless: asked after each call whether nothing is to be observed.
    """

    def make(original: Function) -> Function:
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            result = original(*args, **kwargs)
            if unless is None or not unless():
                observe(result, *args, **kwargs)
            return result

        return wrapper

    return make
