"""Observes the functions that a program gives to `jax.jit`: when one is traced, and when called.

They are compiled as without nntrace: what JAX is given calls the program's function alone.
"""

import copy
import functools
import sys
import threading
import types
from collections.abc import Callable, Hashable, Sequence
from typing import Any, Protocol

import jax
import wrapt

from nntrace.adapter.sources import is_installed
from nntrace_keras.jax.traced import Traced, Tracing
from nntrace_keras.patching import Guard, Undo, wrap
from nntrace_keras.program.sources import is_users

_NOTED, _NOTED_BY = "_nntrace_noted", "_nntrace_noted_by"
_MOST_VARIANTS = 16  # of one function


class UserFunction:
    """One function of the program.

    Attributes:
        call: the function itself.
        is_step: whether any trace of it had gradients or a step.
    """

    def __init__(self, call: Callable[..., Any]) -> None:
        self.call = call
        self.is_step = False
        self._known: dict[Hashable, Traced] = {}
        self._static: tuple[int, ...] = ()

    def learn(self, structure: Any, leaves: Sequence[Any], traced: Traced) -> None:
        """Note what a trace with such arguments showed."""
        self.is_step = self.is_step or bool(traced.derived or traced.applied)
        self._static = traced.static
        if len(self._known) == _MOST_VARIANTS:
            del self._known[next(iter(self._known))]
        self._known[self.variant(structure, leaves)] = traced

    def variant(self, structure: Any, leaves: Sequence[Any]) -> Hashable:
        """What decides, beside the shapes, how such arguments are traced."""
        static = (leaves[n] for n in self._static if n < len(leaves))
        return structure, tuple(leaf if _is_hashable(leaf) else id(leaf) for leaf in static)

    def known(self, structure: Any, leaves: Sequence[Any]) -> Traced | None:
        """What it does with such arguments; None if it was not traced with any."""
        return self._known.get(self.variant(structure, leaves))


class Follower(Protocol):
    """Who is told of the calls."""

    def begins(self, function: UserFunction, arguments: Any) -> Any:
        """A step is about to be called; what comes back goes to `ended`."""

    def traced(self, function: UserFunction, arguments: Any, traced: Traced) -> Any:
        """It was traced for the first time with such arguments: as `begins`, but after it."""

    def ended(self, begun: Any, result: Any) -> None:
        """It has given back this."""


class _Local(threading.local):
    """What goes on in a thread; `function` is the outermost one that is being called."""

    def __init__(self) -> None:
        self.function: UserFunction | None = None
        self.tracing: Tracing | None = None
        self.traced: Traced | None = None


class JittedFunctions:
    """Watches `jax.jit` where the program's own files call it.

    Args:
        guard: keeps errors away from the training.
        follower: its functions keep their errors to themselves.
        is_active: whether anything is recorded.
    """

    def __init__(self, guard: Guard, follower: Follower, is_active: Callable[[], bool]) -> None:
        self._follower = follower
        self._begin = guard(lambda: Tracing(guard))
        self._read = guard(lambda tracing, arguments, result: tracing.traced(arguments, result))
        self._is_asked_for = guard(_is_own)
        self._stand_in = guard(self._noted)
        self._watched = guard(self._watching)
        self._is_active = is_active
        self._local = _Local()

    def install(self) -> Undo:
        """Watch `jax.jit`."""
        return wrap(jax, "jit", self._around)

    @property
    def tracing(self) -> Tracing | None:
        """The trace of one of them that goes on in this thread."""
        return self._local.tracing

    def _around(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def make(jit: Callable[..., Any], function: Any, *args: Any, **options: Any) -> Any:
            noted = self._stand_in(function)
            if noted is None:
                return jit(function, *args, **options)
            jitted = jit(noted, *args, **options)
            plain = functools.partial(jit, function, *args, **options)
            return self._watched(function, noted, jitted, plain) or jitted

        def jit(*args: Any, **options: Any) -> Any:
            file = sys._getframe(1).f_code.co_filename
            if not self._is_active() or not self._is_asked_for(file):
                return original(*args, **options)
            if args:
                return make(original, *args, **options)
            made = original(**options)  # a decorator, unless JAX knows the function by a keyword
            return made if "fun" in options else functools.partial(make, made)

        return jit

    def _watching(self, function: Any, noted: Any, jitted: Any, plain: Callable[[], Any]) -> Any:
        bound = getattr(function, "__self__", None)
        call = functools.partial(self._call, getattr(noted, _NOTED), bound)
        return _Watched(jitted, call, plain)

    def _noted(self, function: Any) -> Any:
        """What stands for a function: one for each, as JAX compiles it once however often asked.

        None for what is no function.
        """
        if isinstance(function, types.MethodType):
            unbound = self._noted(function.__func__)
            return unbound and types.MethodType(unbound, function.__self__)
        if not isinstance(function, types.FunctionType):
            return None
        mark = function.__dict__.get(_NOTED_BY)
        # `functools.wraps` copies what is noted of one function to another.
        if isinstance(mark, _Mark) and mark.by is self and mark.of(function):
            return mark.noted
        of = UserFunction(function)

        @functools.wraps(function)
        def noted(*args: Any, **kwargs: Any) -> Any:
            if self._local.function is not of or self._local.tracing is not None:
                return function(*args, **kwargs)
            tracing = self._local.tracing = self._begin()
            if tracing is None:
                return function(*args, **kwargs)
            try:
                result = function(*args, **kwargs)
            finally:
                self._local.tracing = None
                tracing.end()
            self._local.traced = self._read(tracing, (args, kwargs), result)
            return result

        setattr(noted, _NOTED, of)
        setattr(function, _NOTED_BY, _Mark(self, noted))
        return noted

    def _call(
        self,
        function: UserFunction,
        bound: Any,
        wrapped: Any,
        instance: Any,
        args: Any,
        kwargs: Any,
    ) -> Any:
        local = self._local
        if local.function is not None or not self._is_active():
            return wrapped(*args, **kwargs)
        owner = instance if bound is None else bound
        arguments = (args if owner is None else (owner, *args), kwargs)
        begun = self._follower.begins(function, arguments) if function.is_step else None
        local.function = function
        try:
            result = wrapped(*args, **kwargs)
        finally:
            local.function, traced, local.traced = None, local.traced, None
        if traced is not None:
            begun = begun or self._follower.traced(function, arguments, traced)
        if begun is not None:
            self._follower.ended(begun, result)
        return result


class _Mark:
    """What stands for a function of the program, kept on that function; None in a pickled copy."""

    def __init__(self, by: JittedFunctions, noted: Callable[..., Any]) -> None:
        self.by = by
        self.noted = noted

    def of(self, function: Callable[..., Any]) -> bool:
        """Whether it is this function that it stands for."""
        return bool(getattr(self.noted, _NOTED).call is function)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(None), ()


# For type checkers wrapt's classes are generic; at run time they cannot be given a type in `[]`.
class _WatchedMethod(wrapt.BoundFunctionWrapper):  # type: ignore[type-arg]  # as said above
    """A watched function that was read from an object or a class."""

    def __copy__(self) -> Any:
        return copy.copy(self.__wrapped__)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return copy.deepcopy(self.__wrapped__, memo)

    def __reduce_ex__(self, protocol: Any) -> Any:
        plain, instance = self._self_parent._self_plain(), self._self_instance
        if instance is not None:
            plain = types.MethodType(plain, instance)
        return plain.__reduce_ex__(protocol)


class _Watched(wrapt.FunctionWrapper):  # type: ignore[type-arg]  # as above
    """A jitted function that is copied and pickled as it would be without nntrace.

    Args:
        plain: makes it anew from the program's function alone.
    """

    __bound_function_wrapper__ = _WatchedMethod

    def __init__(self, jitted: Any, call: Callable[..., Any], plain: Callable[[], Any]) -> None:
        super().__init__(jitted, call)
        self._self_plain = plain

    def __copy__(self) -> Any:
        return copy.copy(self.__wrapped__)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return copy.deepcopy(self.__wrapped__, memo)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self._self_plain().__reduce_ex__(protocol)


def _is_own(file: str) -> bool:
    """Whether it is one of the program's own."""
    return is_users(file) and not is_installed(file)


def _is_hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True
