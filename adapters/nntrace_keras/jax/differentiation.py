"""`jax.value_and_grad` and `jax.grad`: whoever watches is asked to compute what they do.

The functions that they make ask at each call, since programs make them long before they train.
"""

import functools
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import jax

from nntrace_keras.patching import Undo, wrap


class Derivative(NamedTuple):
    """What a program asked for.

    Attributes:
        plain: what JAX made of it.
        make: `jax.value_and_grad` itself.
        has_value: whether `plain` gives back the function's value as well.
    """

    function: Callable[..., Any]
    argnums: int | Sequence[int]
    has_aux: bool
    options: dict[str, Any]
    plain: Callable[..., Any]
    make: Callable[..., Any]
    has_value: bool

    @property
    def numbers(self) -> tuple[int, ...]:
        """The places of the arguments that it is differentiated by."""
        return (self.argnums,) if isinstance(self.argnums, int) else tuple(self.argnums)

    def leaves(self, args: Sequence[Any]) -> list[Any]:
        """The arrays that it is differentiated by."""
        return list(jax.tree_util.tree_leaves([args[number] for number in self.numbers]))

    def computed(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[Any, Any, list[tuple[Any, Any]]]:
        """Compute it.

        Returns:
            The value, the gradients, and what they are by: as the caller of the function sees it
            and as the function itself does.
        """
        outer = self.leaves(args)
        inner: list[Any] = []

        @functools.wraps(self.function)
        def function(*args: Any, **kwargs: Any) -> Any:
            inner[:] = self.leaves(args)
            return self.function(*args, **kwargs)

        made = self.make(function, self.argnums, self.has_aux, **self.options)
        value, gradients = made(*args, **kwargs)
        return value, gradients, list(zip(outer, inner, strict=False))

    def result(self, value: Any, gradients: Any) -> Any:
        """What `plain` gives back, of what `make` does."""
        if self.has_value:
            return value, gradients
        return (gradients, value[1]) if self.has_aux else gradients


Watcher = Callable[[Derivative, tuple[Any, ...], dict[str, Any]], Any]


class _Local(threading.local):
    def __init__(self) -> None:
        self.watchers: list[Watcher] = []


class Differentiation:
    """Tells the watcher of this thread of each call."""

    def __init__(self) -> None:
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
        """Let this one compute what no other is asked for."""
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
        def wrapper(fun: Any, argnums: Any = 0, has_aux: bool = False, **options: Any) -> Any:
            plain = original(fun, argnums, has_aux, **options)
            asked = Derivative(fun, argnums, has_aux, options, plain, make, has_value)

            @functools.wraps(plain)
            def differentiated(*args: Any, **kwargs: Any) -> Any:
                watchers = self._local.watchers
                watcher = watchers[-1] if watchers else self._otherwise
                if watcher is None or max(asked.numbers) >= len(args):
                    return plain(*args, **kwargs)
                return watcher(asked, args, kwargs)

            return differentiated

        return wrapper
