"""Is the backward of a `tf.custom_gradient` the derivative of its forward? (PRB05)

It is compared for the arguments and for the variables used. A mismatch is only noted if the forward
is constant or the identity: then it is on purpose, as in PyTorch.
"""

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import tensorflow as tf
from tensorflow.python.eager.record import VariableWatcher
from tensorflow.python.ops import custom_gradient

from nntrace.text import in_short
from nntrace_keras.patching import wrap
from nntrace_keras.probes.answers import Answer, answer
from nntrace_keras.probes.differences import Part, compare, values_of
from nntrace_keras.probes.doubled import double, is_floating

_MANY = 32  # functions that are tested at most
_FRAMEWORKS = ("tensorflow", "keras")

Decorator = Callable[[Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any]


@dataclass(frozen=True, slots=True)
class _Use:
    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


class OwnGradients:
    """Notes an eager call of every function to which the program gives its own gradient."""

    def __init__(self) -> None:
        self._uses: dict[str, _Use] = {}
        self._original: Decorator = custom_gradient._eager_mode_decorator

    @contextmanager
    def noting(self) -> Iterator[None]:
        """Watch the calls, wherever and whenever the functions were decorated."""

        def deciding(original: Decorator) -> Decorator:
            def _eager_mode_decorator(function: Any, args: Any, kwargs: Any) -> Any:
                self._note(function, args, kwargs)
                return original(function, args, kwargs)

            return _eager_mode_decorator

        undo = wrap(custom_gradient, "_eager_mode_decorator", deciding)
        try:
            yield
        finally:
            undo()

    def answers(self) -> dict[str, Answer]:
        """Test each noted function; return the answers by the functions' names."""
        return {name: self._checked(use) for name, use in self._uses.items()}

    def _note(self, function: Callable[..., Any], args: Any, kwargs: Any) -> None:
        name = getattr(function, "__qualname__", "") or repr(function)
        if getattr(function, "__module__", "").partition(".")[0] in _FRAMEWORKS:
            return
        if name not in self._uses and len(self._uses) < _MANY:
            self._uses[name] = _Use(function, tuple(map(double, args)), dict(kwargs))

    def _checked(self, use: _Use) -> Answer:
        try:
            return self._compared(use)
        except Exception as error:
            text = f"it could not be called in float64: {in_short(error)}"
            return answer("unknown", text)

    def _compared(self, use: _Use) -> Answer:
        base = list(use.args)

        def forward(args: list[Any]) -> list[Any]:
            made = self._original(use.function, tuple(args), use.kwargs)
            return [out for out in tf.nest.flatten(made) if is_floating(out)]

        with VariableWatcher() as watcher:
            forward(base)
        parts = [
            Part(f"argument {place}", places=(place,))
            for place, value in enumerate(base)
            if is_floating(value)
        ]
        for variable in watcher.watched_variables():
            if variable.dtype == tf.float64:
                parts.append(
                    Part(f"variable {variable.name.removesuffix(':0')}", variables=(variable,))
                )
        found = compare(forward, base, parts)
        if not found.wrong:
            if not found.tried:
                return answer("unknown", "it has a kink wherever it was tried")
            return answer("clean", "its backward is the derivative of its forward")
        if found.is_constant:
            text = "its forward is constant almost everywhere: a surrogate gradient"
            return answer("noted", text)
        if any(
            _is_identity(found.outputs, values_of(wrong.part, base)[0]) for wrong in found.wrong
        ):
            return answer(
                "noted", "its forward is the identity: its gradient is changed on purpose"
            )
        wrong = found.wrong[0]
        text = (
            f"its backward is {wrong.factor:.4g} times the derivative of its forward with respect "
            f"to {wrong.part.what} ({wrong.by_backward:.4g}, by differences "
            f"{wrong.by_differences:.4g})"
        )
        evidence = {"argument": wrong.part.what, **wrong.evidence}
        return {**answer("found", text, **evidence), **source_of(use.function)}


def _is_identity(outputs: tuple[Any, ...], value: Any) -> bool:
    return any(out.shape == value.shape and bool(tf.reduce_all(out == value)) for out in outputs)


def source_of(content: Any) -> Answer:
    """The file and line of a function or class; empty if unknown."""
    try:
        line = inspect.getsourcelines(content)[1]
        return {"file": inspect.getsourcefile(content), "line": line}
    except (OSError, TypeError):
        return {}
