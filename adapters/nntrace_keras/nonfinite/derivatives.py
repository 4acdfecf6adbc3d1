"""Which derivative broke in the backward pass of an eager step.

While a step is sampled, the arguments and results of every operation's derivative are kept until
the gradients are known to be finite. Nothing is computed differently; otherwise nothing is kept.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import tensorflow as tf
from tensorflow.python import pywrap_tfe
from tensorflow.python.eager import backprop


class Derivative(NamedTuple):
    """One operation of the forward pass, with what its derivative took and returned.

    Attributes:
        inputs: the operation's operands; None for one that the derivative does not need.
        incoming: the gradients of its results.
        given: the gradients of its operands, which the derivative returned.
    """

    type: str
    inputs: Sequence[Any]
    outputs: Sequence[Any]
    incoming: Sequence[Any]
    given: Sequence[Any]

    @property
    def looks_like(self) -> tuple[str, tuple[tuple[int, ...], ...]]:
        """What identifies the operation in another step: its name and the shapes of its results."""
        return look_of(self.type, self.outputs)


class Broken(NamedTuple):
    """A derivative that broke: its operation's place among the `alike` ones of the forward pass."""

    derivative: Derivative
    place: int
    alike: int


def look_of(name: str, outputs: Sequence[Any]) -> tuple[str, tuple[tuple[int, ...], ...]]:
    """`Derivative.looks_like` for an operation that runs."""
    return name, tuple(tuple(t.shape) for t in outputs if tf.is_tensor(t))


class Derivatives:
    """Collects, per thread, the derivatives that are computed inside `kept`."""

    def __init__(self) -> None:
        self._local = threading.local()

    @contextmanager
    def kept(self) -> Iterator[list[Derivative]]:
        """Collect those computed inside, in order: of the last forward operation first."""
        found: list[Derivative] = []
        original = backprop._gradient_function
        self._local.found = found
        pywrap_tfe.TFE_Py_RegisterGradientFunction(self._keeping(original))
        try:
            yield found
        finally:
            pywrap_tfe.TFE_Py_RegisterGradientFunction(original)
            self._local.found = None

    def _keeping(self, original: Callable[..., Any]) -> Callable[..., Any]:
        local = self._local

        def function(
            name: str, attrs: Any, count: int, inputs: Any, outputs: Any, incoming: Any, *rest: Any
        ) -> Any:
            given = original(name, attrs, count, inputs, outputs, incoming, *rest)
            found = getattr(local, "found", None)
            if found is not None:
                several = given if isinstance(given, list | tuple) else [given]
                found.append(Derivative(name, inputs or (), outputs or (), incoming, several))
            return given

        return function


def first_broken(found: Sequence[Derivative], gradients: Sequence[Any]) -> Broken | None:
    """The first in `found` that returns something non-finite for finite gradients.

    None if all of the final `gradients` are finite, or if no derivative did so.
    """
    if not found or _are_finite(gradients):
        return None
    for place, one in enumerate(found):
        if not _are_finite(one.given) and _are_finite(one.incoming):
            after = sum(other.looks_like == one.looks_like for other in found[:place])
            before = sum(other.looks_like == one.looks_like for other in found[place + 1 :])
            return Broken(one, before, before + 1 + after)
    return None


def dense(gradient: Any) -> Any:
    """The elements of a gradient; of a sparse one, those of the rows that it holds."""
    return gradient.values if isinstance(gradient, tf.IndexedSlices) else gradient


def _are_finite(gradients: Sequence[Any]) -> bool:
    tensors = [dense(gradient) for gradient in gradients]
    numbers = [t for t in tensors if tf.is_tensor(t) and t.dtype.is_floating]
    return all(bool(tf.reduce_all(tf.math.is_finite(tensor))) for tensor in numbers)
