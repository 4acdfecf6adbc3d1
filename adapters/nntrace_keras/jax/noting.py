"""What is noted of a derivative that a training loop of a program's own asks for."""

from collections.abc import Sequence
from typing import Any

from nntrace_keras.jax.differentiation import Derivative
from nntrace_keras.jax.scopes import Scopes
from nntrace_keras.jax.traced import Tracing
from nntrace_keras.patching import Guard


class Noting:
    """What is noted of one derivative while it is computed.

    Attributes:
        outer: the arrays that it is by, as the caller of the function sees them.
        inner: as the function itself does.
        tracing: the trace that it belongs to; None if it is not jitted.
        scopes: what stands for which variable, unless the trace knows.
        called: to be given the arguments of the function.
        end: to be called when it has been computed.
    """

    def __init__(
        self, guard: Guard, asked: Derivative, outer: Sequence[Any], tracing: Tracing | None
    ) -> None:
        self._asked = asked
        self.outer = outer
        self.inner: Sequence[Any] = ()
        self.tracing = tracing
        self.scopes = Scopes()
        self.called = guard(self._called)
        self.end = self.scopes.install(guard) if tracing is None else _nothing

    def _called(self, args: Sequence[Any]) -> None:
        self.inner = self._asked.leaves(args)


def _nothing() -> None:
    pass
