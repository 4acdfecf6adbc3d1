"""Replaces `jax.value_and_grad` and `jax.grad`: an observer may compute the derivative itself.

The functions that they make ask for one at each call, since programs make them long before they
train.
"""

import functools
import inspect
import operator
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import jax

from nntrace_keras.patching import Guard, Undo, wrap


class Derivative(NamedTuple):
    """What a program asked for.

    Attributes:
        argnums: the places of the arguments that it is differentiated by, of the last ones
            negative; a single number stands for gradients that are in no tuple.
        plain: what JAX made of it.
        make: `jax.value_and_grad` itself.
        has_value: whether `plain` gives back the function's value as well.
    """

    function: Callable[..., Any]
    argnums: int | tuple[int, ...]
    has_aux: bool
    options: dict[str, Any]
    plain: Callable[..., Any]
    make: Callable[..., Any]
    has_value: bool

    def numbers(self, args: Sequence[Any]) -> list[int]:
        """The places of those among these arguments, from the first; none if one is missing."""
        numbers = (self.argnums,) if isinstance(self.argnums, int) else self.argnums
        count = len(args)
        return [n % count for n in numbers] if all(-count <= n < count for n in numbers) else []

    def leaves(self, args: Sequence[Any]) -> list[Any]:
        """The arrays that it is differentiated by."""
        return list(jax.tree_util.tree_leaves([args[number] for number in self.numbers(args)]))

    def computed(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], called: Callable[[Any], object]
    ) -> tuple[Any, Any]:
        """Compute it: the value and the gradients.

        Args:
            args: those of the call.
            kwargs: as well.
            called: is given the arguments with which JAX calls the function; raises nothing.
        """

        @functools.wraps(self.function)
        def function(*args: Any, **kwargs: Any) -> Any:
            called(args)
            return self.function(*args, **kwargs)

        made = self.make(function, self.argnums, self.has_aux, **self.options)
        value, gradients = made(*args, **kwargs)
        return value, gradients

    def result(self, value: Any, gradients: Any) -> Any:
        """What `plain` gives back, of what `make` does."""
        if self.has_value:
            return value, gradients
        return (gradients, value[1]) if self.has_aux else gradients


def _asked(
    make: Callable[..., Any],
    plain: Callable[..., Any],
    has_value: bool,
    args: tuple[Any, ...],
    options: dict[str, Any],
) -> Derivative:
    """What these arguments of `jax.value_and_grad` or `jax.grad` ask for."""
    given = inspect.signature(make).bind(*args, **options).arguments
    function, has_aux = given.pop("fun"), given.pop("has_aux", False)
    argnums = given.pop("argnums", 0)
    try:
        numbers: int | tuple[int, ...] = operator.index(argnums)
    except TypeError:
        numbers = tuple(map(operator.index, argnums))
    return Derivative(function, numbers, has_aux, given, plain, make, has_value)


Watcher = Callable[[Derivative, tuple[Any, ...], dict[str, Any]], Any]


class _Local(threading.local):
    def __init__(self) -> None:
        self.watchers: list[Watcher] = []


class Differentiation:
    """Tells the watcher of this thread of each call.

    Args:
        guard: keeps errors away from the training.
    """

    def __init__(self, guard: Guard) -> None:
        self._asked = guard(_asked)
        self._numbers = guard(Derivative.numbers)
        self._local = _Local()
        self._otherwise: Watcher | None = None

    def install(self) -> list[Undo]:
        """Watch the two functions of JAX that make others."""
        make = jax.value_and_grad
        return [
            wrap(jax, "value_and_grad", functools.partial(self._around, make, True)),
            wrap(jax, "grad", functools.partial(self._around, make, False)),
        ]

    def otherwise(self, watcher: Watcher) -> None:
        """Let this one compute what no other is asked for; it raises what the program raises."""
        self._otherwise = watcher

    @contextmanager
    def watched_by(self, watcher: Watcher) -> Iterator[None]:
        """Let this one, and no other, compute what is asked for on this thread."""
        self._local.watchers.append(watcher)
        try:
            yield
        finally:
            self._local.watchers.pop()

    def _around(
        self, make: Callable[..., Any], has_value: bool, original: Callable[..., Any]
    ) -> Callable[..., Any]:
        def wrapper(*args: Any, **options: Any) -> Any:
            plain = original(*args, **options)
            asked = self._asked(make, plain, has_value, args, options)
            if asked is None:
                return plain

            @functools.wraps(plain)
            def differentiated(*args: Any, **kwargs: Any) -> Any:
                watchers = self._local.watchers
                watcher = watchers[-1] if watchers else self._otherwise
                if watcher is None or not self._numbers(asked, args):
                    return plain(*args, **kwargs)
                return watcher(asked, args, kwargs)

            return differentiated

        return wrapper
