"""Replaces an attribute of a framework by a wrapper that also observes; returns the undo.

A wrapper calls the original with exactly the caller's arguments and returns the very object that
the original returned.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

Undo = Callable[[], None]
Function = Callable[..., Any]
Guard = Callable[[Function], Function]  # as `Recorder.guard`: keeps errors away from the training


_made: Final[ContextVar[list[Undo] | None]] = ContextVar("made", default=None)


@contextmanager
def all_or_nothing() -> Iterator[None]:
    """If the block raises, undo what it has replaced."""
    made: list[Undo] = []
    token = _made.set(made)
    try:
        yield
    except BaseException:
        for undo in reversed(made):
            undo()
        raise
    finally:
        _made.reset(token)


def uncounted(wrapper: Function) -> Function:
    """`wrapper`, over which the levels of a warning's `stacklevel` pass without counting it.

    The warning then points at the line at which it points without nntrace, and is shown as often:
    by default once for each line. Python leaves out the frames of its import machinery, and knows
    them by these two words in the names of their files (`is_internal_filename` in `_warnings.c`).
    """
    code = wrapper.__code__
    wrapper.__code__ = code.replace(co_filename=f"{code.co_filename} (importlib._bootstrap)")
    return wrapper


def replace(owner: Any, name: str, wrapper: Any) -> Undo:
    """Set `owner.name` to `wrapper`; the undo does nothing once someone has patched over it."""
    original = getattr(owner, name)
    inherited = name not in vars(owner)
    is_static = name == "__new__"  # Python makes it static by itself only in a class statement
    held = staticmethod(wrapper) if is_static else wrapper
    setattr(owner, name, held)

    def undo() -> None:
        if vars(owner).get(name) is not held:
            return  # someone patched over this wrapper: removing their patch would be worse
        if inherited:
            delattr(owner, name)
        else:
            setattr(owner, name, staticmethod(original) if is_static else original)

    if (made := _made.get()) is not None:
        made.append(undo)
    return undo


def calling_before(
    observe: Function, unless: Callable[[], bool] | None = None
) -> Callable[[Function], Function]:
    """A decorator that makes a function call `observe(*args, **kwargs)` before it runs.

    Args:
        observe: is called with the arguments of each call.
        unless: tells at each call whether to skip `observe`.
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
    """A decorator that makes a function call `observe(result, *args, **kwargs)` after it ran.

    Args:
        observe: is called with the result and the arguments of each call.
        unless: tells after each call whether to skip `observe`.
    """

    def make(original: Function) -> Function:
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            result = original(*args, **kwargs)
            if unless is None or not unless():
                observe(result, *args, **kwargs)
            return result

        return wrapper

    return make
