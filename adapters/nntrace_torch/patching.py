"""Replaces functions of PyTorch by wrappers that also observe; each patch returns its undo."""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import BuiltinFunctionType, FrameType, FunctionType
from typing import Any, TypeVar

import torch
from torch.jit import _builtins
from torch.utils._python_dispatch import _disable_current_modes

from nntrace.adapter.patching import Undo as Undo
from nntrace.adapter.patching import calling_after, calling_before, replace, uncounted
from nntrace_torch import older

R = TypeVar("R")

# Called several times in every step: a global name is looked up faster than a chain of attributes.
_compiler = torch.compiler
_is_dynamo = torch.compiler.is_dynamo_compiling  # TorchDynamo replaces a call of it by True
_tracing_state = torch._C._get_tracing_state
_graph_task = torch._C._current_graph_task_id
_has_cuda = torch.backends.cuda.is_built()
_uses_cuda = torch.cuda.is_initialized
_away = [0]  # the contexts `looking_away` under way

read_number = torch.Tensor.item  # the original, before anything is wrapped around it


def _call(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return function(*args, **kwargs)


def calling_from(frame: FrameType) -> Callable[..., Any]:
    """A function `(function, args, kwargs)` that calls from the line which `frame` executes.

    A function written in C has no `stacklevel`: its warnings point at the innermost frame, which is
    nntrace's if a wrapper calls it.
    """
    called = frame.f_code
    code = _call.__code__.replace(
        co_filename=called.co_filename,
        co_name=called.co_name,
        co_qualname=called.co_qualname,
        co_firstlineno=frame.f_lineno - 1,  # the call stands on the second line
    )
    return FunctionType(code, frame.f_globals)


def is_captured() -> bool:
    """Whether a graph is being captured, of which our operations would become a part, or what is
    computed has no meaning.
    """
    return (
        _is_dynamo()
        or _away[0] > 0
        or _compiler._is_compiling_flag  # the rest of `is_compiling`, which asks more
        or _tracing_state() is not None
        or (_has_cuda and _uses_cuda() and torch.cuda.is_current_stream_capturing())
    )


@contextmanager
def looking_away() -> Iterator[None]:
    """A context in which nothing is observed, as its values have no meaning."""
    _away[0] += 1
    try:
        yield
    finally:
        _away[0] -= 1


def is_in_backward() -> bool:
    """Whether autograd is walking a graph on this thread, as when a checkpoint recomputes."""
    return bool(_graph_task() != -1)


def wrap(owner: Any, name: str, make: Callable[[Callable[..., Any]], Callable[..., Any]]) -> Undo:
    """Set `owner.name` to `make(original)`, which must call the original; return the undo.

    The wrapper is invisible to compilers: TorchDynamo traces the original, so that no graph break
    is added, and TorchScript compiles the original's source.
    """
    original = getattr(owner, name)
    wrapper: Any = functools.wraps(original)(uncounted(make(original)))
    if not (older.LOSES_CLOSURES and getattr(original, "__closure__", None)):
        wrapper._torchdynamo_inline = original
    vars(wrapper)["__script_if_tracing_wrapper"] = True
    vars(wrapper)["__original_fn"] = original
    put_back = replace(owner, name, wrapper)
    forget = _stands_for(wrapper, original)

    def undo() -> None:
        forget()
        put_back()

    return undo


def _stands_for(wrapper: Any, original: Any) -> Undo:
    """Make TorchScript treat the wrapper of an operation written in C as the operation itself."""
    builtin = type(original) is BuiltinFunctionType
    entry = (wrapper, f"aten::{original.__name__}")
    if builtin:
        _builtins._builtin_ops.append(entry)
        if _builtins._builtin_table is not None:
            _builtins._builtin_table[id(wrapper)] = entry[1]

    def undo() -> None:
        if entry in _builtins._builtin_ops:
            _builtins._builtin_ops.remove(entry)
            if _builtins._builtin_table is not None:
                _builtins._builtin_table.pop(id(wrapper), None)

    return undo


def before(owner: Any, name: str, observe: Callable[..., object]) -> Undo:
    """Call `observe(*args, **kwargs)` before each call of `owner.name`."""
    return wrap(owner, name, calling_before(observe, unless=is_captured))


def after(owner: Any, name: str, observe: Callable[..., object]) -> Undo:
    """Call `observe(result, *args, **kwargs)` after each call of `owner.name`."""
    return wrap(owner, name, calling_after(observe, unless=is_captured))


def outside_graphs(hook: Callable[..., R]) -> Callable[..., R | None]:
    """A hook that does nothing while a graph is being captured."""

    def called(*args: Any) -> R | None:
        return None if is_captured() else hook(*args)

    return called


def invisible_to_compilers(hook: Callable[..., R]) -> Callable[..., R]:
    """A hook in whose place TorchDynamo traces one that does nothing."""

    def called(*args: Any) -> R:
        return hook(*args)

    vars(called)["_torchdynamo_inline"] = _nothing
    return called


def _nothing(*args: Any) -> None:
    pass


def outside_modes(hook: Callable[..., None]) -> Callable[..., None]:
    """A hook whose operations are hidden from active dispatch modes."""

    def called(*args: Any, **kwargs: Any) -> None:
        with _disable_current_modes():
            hook(*args, **kwargs)

    return called


def remove_hook(handle: Any) -> None:
    """Remove a hook, even while PyTorch iterates over the hooks it is among.

    Removing a hook invalidates that iterator unless ours is the only hook. Among others ours
    therefore stays, made inert by its guard, until this is called again.
    """
    hooks = handle.hooks_dict_ref()
    if hooks is not None and set(hooks) <= {handle.id}:
        handle.remove()
