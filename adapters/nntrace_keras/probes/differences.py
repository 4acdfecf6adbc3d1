"""Is a gradient the derivative of what was computed? Tested along random directions, in float64.

⟨v, J u⟩ is computed by a tape and by central differences; no loss is needed. Directions along
which two step sizes disagree cross a kink and decide nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from nntrace.adapter.derivatives import STEP, WIDE_STEP, Comparison, Slopes, compared


@dataclass(frozen=True, slots=True)
class Part:
    """Tensors or variables whose gradient is tested, moved together.

    Attributes:
        what: their name in messages.
        places: positions of arguments; empty for variables.
        variables: TensorFlow variables.
    """

    what: str
    places: tuple[int, ...] = ()
    variables: tuple[Any, ...] = ()


def compare(
    forward: Callable[[list[Any]], list[Any]], base: list[Any], parts: list[Part]
) -> Comparison[Part]:
    """Compare gradients with differences, part by part.

    Args:
        forward: computes outputs from arguments, deterministically.
        base: the arguments, in float64 where they are floating-point.
        parts: whose gradients are tested.

    Raises:
        ValueError: the outputs are drawn at random.
        Exception: what `forward` or its backward raised.
    """
    random = np.random.default_rng(0)
    outputs = tuple(forward(base))
    if any(bool(tf.reduce_any(a != b)) for a, b in zip(outputs, forward(base), strict=True)):
        raise ValueError("it draws random numbers")
    weights = [_like(out, random) for out in outputs]

    def scalar(args: list[Any]) -> Any:
        made = zip(weights, forward(args), strict=True)
        return tf.add_n([tf.reduce_sum(weight * tf.cast(out, tf.float64)) for weight, out in made])

    return compared(outputs, parts, lambda part: _slopes(scalar, base, part, random))


def _slopes(
    scalar: Callable[[list[Any]], Any], base: list[Any], part: Part, random: np.random.Generator
) -> Callable[[], Slopes]:
    """Return a function that measures the slopes of a part along a new random direction."""
    values = [tf.identity(value) for value in values_of(part, base)]
    gradients = _gradients(scalar, base, part)
    size = max(1.0, *(float(tf.reduce_max(tf.abs(value))) for value in values))

    def measure() -> Slopes:
        directions = [_like(value, random) for value in values]
        by_backward = sum(
            float(tf.reduce_sum(tf.cast(gradient, tf.float64) * direction))
            for gradient, direction in zip(gradients, directions, strict=True)
            if gradient is not None
        )
        narrow, wide = (
            _slope(scalar, base, part, values, directions, step * size)
            for step in (STEP, WIDE_STEP)
        )
        return Slopes(by_backward, narrow, wide)

    return measure


def values_of(part: Part, base: list[Any]) -> list[Any]:
    """The values that are moved with a part, variables first."""
    return [*part.variables, *(base[place] for place in part.places)]


def _gradients(scalar: Callable[[list[Any]], Any], base: list[Any], part: Part) -> list[Any]:
    sources = values_of(part, base)
    with tf.GradientTape() as tape:
        tape.watch(sources)
        value = scalar(base)
    found = tape.gradient(value, sources)
    return [None if gradient is None else tf.convert_to_tensor(gradient) for gradient in found]


def _slope(
    scalar: Callable[[list[Any]], Any], base: list[Any], part: Part, values: list[Any],
    directions: list[Any], step: float,
) -> float:  # fmt: skip
    number = len(part.variables)
    ends = []
    for signed in (step, -step):
        moved = [value + signed * u for value, u in zip(values, directions, strict=True)]
        args = list(base)
        for place, value in zip(part.places, moved[number:], strict=True):
            args[place] = value
        for variable, value in zip(part.variables, moved[:number], strict=True):
            variable.assign(value)
        try:
            ends.append(float(scalar(args)))
        finally:
            for variable, value in zip(part.variables, values[:number], strict=True):
                variable.assign(value)
    return (ends[0] - ends[1]) / (2 * step)


def _like(tensor: Any, random: np.random.Generator) -> Any:
    size = max(int(np.prod(tensor.shape)), 1)
    return tf.constant(random.normal(size=tensor.shape) / size**0.5, tf.float64)
