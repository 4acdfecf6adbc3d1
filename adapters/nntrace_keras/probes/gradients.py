"""Is the backward of a `tf.custom_gradient` the derivative of its forward? (PRB05)

Along random directions, in float64: ⟨v, J u⟩ by the function's own gradient and by central
differences. Constant and identical forwards have their backward on purpose, as in PyTorch.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from nntrace_keras.patching import Undo, wrap
from nntrace_keras.probes.answers import Answer, answer

_MANY = 32  # functions
_DIRECTIONS = 3
_STEP = 1e-6
_TOLERANCE = 1e-3  # of the larger one
_KINK = 1e-3  # by how much differences of two step sizes may disagree
_FRAMEWORKS = ("tensorflow", "keras")


@dataclass(frozen=True, slots=True)
class _Use:
    function: Callable[..., Any]
    called: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


class OwnGradients:
    """Notes an eager call of every function that the program gives a gradient of its own.

    Attributes:
        is_noting: whether calls count now.
    """

    def __init__(self) -> None:
        self._uses: dict[str, _Use] = {}
        self._original: Callable[..., Any] = tf.custom_gradient
        self.is_noting = False

    def install(self) -> list[Undo]:
        """Watch `tf.custom_gradient`, which `keras.ops.custom_gradient` is made of."""
        return [wrap(tf, "custom_gradient", self._deciding)]

    def answers(self) -> dict[str, Answer]:
        """What is to be said of each function, by its name."""
        return {name: self._checked(use) for name, use in self._uses.items()}

    def _deciding(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def custom_gradient(f: Any = None) -> Any:
            if f is None:
                return custom_gradient
            if getattr(f, "__module__", "").partition(".")[0] in _FRAMEWORKS:
                return original(f)
            return original(wrapped(f))

        def wrapped(function: Callable[..., Any]) -> Callable[..., Any]:
            def forward(*args: Any, **kwargs: Any) -> Any:
                self._note(function, args, kwargs)
                return function(*args, **kwargs)

            # AutoGraph converts by the module, methods are bound by the name.
            for name in ("__module__", "__name__", "__qualname__", "__doc__"):
                setattr(forward, name, getattr(function, name, None))
            return forward

        return custom_gradient

    def _note(self, function: Callable[..., Any], args: Any, kwargs: Any) -> None:
        name = getattr(function, "__qualname__", "") or repr(function)
        if not self.is_noting or name in self._uses or len(self._uses) >= _MANY:
            return
        tensors = [arg for arg in args if tf.is_tensor(arg)]
        if not tensors or not all(hasattr(tensor, "numpy") for tensor in tensors):
            return
        first = next(place for place, arg in enumerate(args) if tf.is_tensor(arg))
        bound = args[:first]  # of a method, its object

        def called(*rest: Any, **named: Any) -> Any:
            return function(*bound, *rest, **named)

        self._uses[name] = _Use(function, called, args[first:], dict(kwargs))

    def _checked(self, use: _Use) -> Answer:
        try:
            return _compare(self._original(use.called), use)
        except Exception as error:
            text = f"it could not be called in float64: {type(error).__name__}: {error}"
            return answer("unknown", text)


def _compare(decorated: Callable[..., Any], use: _Use) -> Answer:
    base = [_double(arg) for arg in use.args]
    places = [n for n, arg in enumerate(base) if tf.is_tensor(arg) and arg.dtype.is_floating]
    random = np.random.default_rng(0)

    def forward(args: list[Any]) -> list[Any]:
        made = decorated(*args, **use.kwargs)
        return [out for out in tf.nest.flatten(made) if out.dtype.is_floating]

    def like(tensor: Any) -> Any:
        size = max(int(np.prod(tensor.shape)), 1)
        return tf.constant(random.normal(size=tensor.shape) / size**0.5, tf.float64)

    plain = forward(base)
    weights = [like(out) for out in plain]

    def scalar(args: list[Any]) -> Any:
        outs = forward(args)
        parts = [
            tf.reduce_sum(weight * tf.cast(out, tf.float64))
            for weight, out in zip(weights, outs, strict=True)
        ]
        return tf.add_n(parts)

    def moved(place: int, by: Any) -> float:
        return float(scalar([arg + by if n == place else arg for n, arg in enumerate(base)]))

    wrong: list[tuple[int, float, float]] = []
    constant, tried = True, 0
    for place in places:
        with tf.GradientTape() as tape:
            tape.watch(base[place])
            value = scalar(base)
        gradient = tape.gradient(value, base[place])
        size = max(1.0, float(tf.reduce_max(tf.abs(base[place]))))
        bad = []
        for _ in range(_DIRECTIONS):
            direction = like(base[place])
            by_backward = 0.0
            if gradient is not None:  # in float32, where the forward casts to it
                by_backward = float(tf.reduce_sum(tf.cast(gradient, tf.float64) * direction))
            narrow, wide = (
                (moved(place, step * direction) - moved(place, -step * direction)) / (2 * step)
                for step in (_STEP * size, 10 * _STEP * size)
            )
            largest = max(abs(by_backward), abs(narrow), 1e-8)
            constant = constant and narrow == 0.0
            if abs(wide - narrow) > _KINK * largest and narrow != 0.0:
                continue  # a kink lies between: no derivative to compare with
            tried += 1
            if abs(by_backward - narrow) > _TOLERANCE * largest:
                bad.append((place, by_backward, narrow))
        if len(bad) == _DIRECTIONS:
            wrong.append(bad[0])
    if not wrong:
        if not tried:
            return answer("unknown", "it has a kink wherever it was tried")
        return answer("clean", "its backward is the derivative of its forward")
    if constant:
        text = "its forward is constant almost everywhere: a surrogate gradient"
        return answer("noted", text)
    if any(_is_identity(plain, base[place]) for place, _, _ in wrong):
        return answer("noted", "its forward is the identity: its gradient is changed on purpose")
    place, by_backward, narrow = wrong[0]
    factor = by_backward / narrow if narrow else float("inf")
    text = (
        f"its backward is {factor:.4g} times the derivative of its forward with respect to "
        f"argument {place} ({by_backward:.4g}, by differences {narrow:.4g})"
    )
    evidence = {
        "argument": place, "backward": by_backward, "differences": narrow, "factor": factor,
    }  # fmt: skip
    return {**answer("found", text, **evidence), **_source(use.function)}


def _double(arg: Any) -> Any:
    return tf.cast(arg, tf.float64) if tf.is_tensor(arg) and arg.dtype.is_floating else arg


def _is_identity(outputs: list[Any], value: Any) -> bool:
    return any(out.shape == value.shape and bool(tf.reduce_all(out == value)) for out in outputs)


def _source(function: Callable[..., Any]) -> Answer:
    try:
        line = inspect.getsourcelines(function)[1]
        return {"file": inspect.getsourcefile(function), "line": line}
    except (OSError, TypeError):
        return {}
