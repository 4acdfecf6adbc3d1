"""Which derivative broke in the backward pass of an eager step.

While a step is sampled, what the tape asks of every operation's derivative is kept until the
gradients are known to be finite. Nothing is computed differently, and nothing is kept else.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import tensorflow as tf
from tensorflow.python import pywrap_tfe
from tensorflow.python.eager import backprop


class Derivative(NamedTuple):
    """One operation of the forward pass, and what its derivative made of the gradients given.

    Attributes:
        inputs: its operands; None where the derivative does not need one.
        incoming: the gradients of its results.
        given: the gradients of its operands.
    """

    type: str
    inputs: Sequence[Any]
    outputs: Sequence[Any]
    incoming: Sequence[Any]
    given: Sequence[Any]

    @property
    def looks_like(self) -> tuple[str, tuple[tuple[int, ...], ...]]:
        """What tells it from others in another step: its name and the shapes of its results."""
        return look_of(self.type, self.outputs)


class Broken(NamedTuple):
    """A derivative that broke: its operation's place in the forward pass among all alike."""

    derivative: Derivative
    place: int
    alike: int


def look_of(name: str, outputs: Sequence[Any]) -> tuple[str, tuple[tuple[int, ...], ...]]:
    """As `Derivative.looks_like`, of an operation."""
    return name, tuple(tuple(t.shape) for t in outputs if tf.is_tensor(t))


class Derivatives:
    """The derivatives that are computed while somebody looks, of each thread."""

    def __init__(self) -> None:
        self._local = threading.local()

    @contextmanager
    def kept(self) -> Iterator[list[Derivative]]:
        """Those computed inside, in order: the last operation of the forward pass comes first."""
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
    """The first in `found` that makes something non-finite of finite gradients.

    None where the gradients in the end are finite, or where none of them did it.
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
    """The elements that a gradient has: those of the rows taken from an embedding."""
    return gradient.values if isinstance(gradient, tf.IndexedSlices) else gradient


def _are_finite(gradients: Sequence[Any]) -> bool:
    tensors = [dense(gradient) for gradient in gradients]
    numbers = [t for t in tensors if tf.is_tensor(t) and t.dtype.is_floating]
    return all(bool(tf.reduce_all(tf.math.is_finite(tensor))) for tensor in numbers)
