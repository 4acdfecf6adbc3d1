"""Gradient clipping: the norms of all gradients before and after it.

It happens by an optimizer's `clipnorm`, `global_clipnorm` or `clipvalue`, and by the TensorFlow
functions that a program calls between its tape and its optimizer. Both norms are read with a
step's samples.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import tensorflow as tf

from nntrace_keras.patching import Guard, Undo, after
from nntrace_keras.program.optimizers import as_received
from nntrace_keras.program.settings import inner_optimizer
from nntrace_keras.samples.capture import Capture
from nntrace_keras.samples.layouts import Found
from nntrace_keras.tape.tapes import Tapes

_FUNCTIONS = ("clip_by_global_norm", "clip_by_norm", "clip_by_value")
_NAME = "clipping"
_ROUNDING = 1e-3  # the relative difference by which the norms may differ without clipping


def watch_clipping(guard: Guard, tapes: Tapes) -> Undo:
    """Attach to gradients that TensorFlow clips what they were before."""

    def clipped(result: Any, *args: Any, **kwargs: Any) -> None:
        given = args[0] if args else kwargs.get("t_list", kwargs.get("t"))
        left = result[0] if isinstance(result, tuple) else result
        pending = {
            id(one) for waiting in tapes.gradients.pending for one in waiting.source_gradients
        }
        for before, now in zip(tf.nest.flatten(given), tf.nest.flatten(left), strict=True):
            before = _unclipped(before)
            if now is not None and id(before) in pending:
                now._nntrace_unclipped = before

    note = guard(clipped)

    def observe(*call: Any, **kwargs: Any) -> None:
        if tapes.gradients.is_pending and tapes.collects():
            note(*call, **kwargs)

    undos = [after(tf, name, observe) for name in _FUNCTIONS]

    def undo() -> None:
        for one in undos:
            one()

    return undo


def add_norms(capture: Capture, optimizer: Any, pairs: Sequence[tuple[Any, Any]]) -> None:
    """Sample both norms if the gradients are clipped, by the optimizer or before it."""
    given = [(gradient, variable) for gradient, variable in pairs if gradient is not None]
    before = [_unclipped(gradient) for gradient, _ in given]
    clips = _clips(inner_optimizer(optimizer))
    if clips is None and all(one is other for one, (other, _) in zip(before, given, strict=True)):
        return
    received = [partial(as_received, optimizer, variable) for _, variable in given]

    def norms(sides: Any) -> Any:
        taken, left = (
            [_values(receive(gradient)) for receive, gradient in zip(received, side, strict=True)]
            for side in sides
        )
        return tf.sqrt(tf.stack([_total(taken), (clips or _total)(left)]))

    capture.add_numbers(_NAME, [before, [gradient for gradient, _ in given]], norms, 2)


def clipping_in(found: Found | None) -> tuple[float | None, float | None]:
    """The norms of a step's gradients before and after clipping; None for both without clipping."""
    if found is None or _NAME not in found.batch:
        return None, None
    norm, left = (float(value) for value in found.batch[_NAME][0])
    return norm, norm if left >= (1 - _ROUNDING) * norm else left


def _clips(optimizer: Any) -> Callable[[Sequence[Any]], Any] | None:
    """A function of gradients: the sum of squares that the optimizer's clipping leaves; or None."""
    each, together, value = (
        getattr(optimizer, name, None) for name in ("clipnorm", "global_clipnorm", "clipvalue")
    )
    if each:
        return lambda values: _sum([tf.minimum(_squares(one), each**2) for one in values])
    if together:
        return lambda values: tf.minimum(_total(values), together**2)
    if value:
        return lambda values: _total([tf.clip_by_value(one, -value, value) for one in values])
    return None


def _unclipped(gradient: Any) -> Any:
    return getattr(gradient, "_nntrace_unclipped", gradient)


def _values(gradient: Any) -> Any:
    values = gradient.values if isinstance(gradient, tf.IndexedSlices) else gradient
    return tf.cast(values, tf.float32)


def _total(values: Sequence[Any]) -> Any:
    """The sum of all squares."""
    return _sum([_squares(one) for one in values])


def _squares(values: Any) -> Any:
    return tf.reduce_sum(tf.square(values))


def _sum(numbers: Sequence[Any]) -> Any:
    return tf.add_n(numbers) if numbers else tf.constant(0.0)
