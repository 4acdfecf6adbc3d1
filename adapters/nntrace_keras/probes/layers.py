"""Is the gradient of a layer the derivative of what it computes? (PRB05)

One layer of every class that the program defines is called again in float64, in inference mode,
with the arguments of a training batch. A difference means that something was cut off or changed
inside, by `stop_gradient` or a detour over NumPy: often on purpose, so it is noted, not blamed.
"""

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from nntrace.adapter.derivatives import Comparison
from nntrace_keras.patching import wrap
from nntrace_keras.probes.answers import Answer, answer
from nntrace_keras.probes.differences import Part, compare
from nntrace_keras.probes.doubled import is_floating
from nntrace_keras.probes.gradients import source_of
from nntrace_keras.program.sources import is_users

_MANY = 12  # classes that are tested at most
_LARGEST = 2_000_000  # elements of parameters and inputs


@dataclass(frozen=True, slots=True)
class _Call:
    layer: Any
    leaves: list[Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


class OwnLayers:
    """Notes an eager call of one layer of every class that the program defines."""

    def __init__(self) -> None:
        self._calls: dict[type, _Call] = {}

    @contextmanager
    def noting(self) -> Iterator[None]:
        """Watch the calls of layers."""

        def calling(original: Callable[..., Any]) -> Callable[..., Any]:
            def __call__(layer: Any, *args: Any, **kwargs: Any) -> Any:
                kind = type(layer)
                if kind not in self._calls and len(self._calls) < _MANY and _is_own(kind):
                    leaves = tf.nest.flatten((args, kwargs))
                    self._calls[kind] = _Call(layer, leaves, args, kwargs)
                return original(layer, *args, **kwargs)

            return __call__

        undo = wrap(keras.layers.Layer, "__call__", calling)
        try:
            yield
        finally:
            undo()

    def answers(self) -> dict[str, Answer]:
        """Test each noted layer; return the answers by the classes' names.

        Innermost layers come first; a layer around a noted one is left out. To be called while the
        model is in float64.
        """
        answers: dict[str, Answer] = {}
        noted: list[Any] = []
        for call in sorted(self._calls.values(), key=lambda call: len(_within(call.layer))):
            if any(one is layer for one in noted for layer in _within(call.layer)):
                continue
            try:
                found = _check(call)
            except Exception:  # it cannot compute in float64, or draws at random
                continue
            if found is not None:
                answers[type(call.layer).__qualname__] = found
                if found["state"] == "noted":
                    noted.append(call.layer)
        return answers


def _check(call: _Call) -> Answer | None:
    places = tuple(place for place, leaf in enumerate(call.leaves) if is_floating(leaf))
    variables = tuple(variable._value for variable in call.layer.trainable_variables)
    tensors = [*variables, *(call.leaves[place] for place in places)]
    if not tensors or sum(int(tf.size(tensor)) for tensor in tensors) > _LARGEST:
        return None
    parts = [Part("input", places=places)] if places else []
    parts += [Part("parameters", variables=variables)] if variables else []

    def forward(leaves: list[Any]) -> list[Any]:
        args, kwargs = tf.nest.pack_sequence_as((call.args, call.kwargs), leaves)
        return [out for out in tf.nest.flatten(call.layer(*args, **kwargs)) if is_floating(out)]

    return _judged(compare(forward, call.leaves, parts), call)


def _judged(found: Comparison[Part], call: _Call) -> Answer | None:
    if not found.tried or any(out.dtype != tf.float64 for out in found.outputs):
        return None
    if not found.wrong:
        return answer("clean", "its gradient is the derivative of what it computes")
    if found.is_constant:
        text = "what it computes is constant almost everywhere: a surrogate gradient"
        return answer("noted", text)
    wrong = found.wrong[0]
    text = (
        f"its gradient with respect to its {wrong.part.what} is {wrong.factor:.4g} times the "
        "derivative of what it computes: a part of it is detached, or changed"
    )
    evidence = {"module": call.layer.path or call.layer.name, **wrong.evidence}
    return {**answer("noted", text, **evidence), **source_of(type(call.layer))}


def _within(layer: Any) -> list[Any]:
    return list(layer._flatten_layers())


def _is_own(kind: type) -> bool:
    try:
        file = inspect.getsourcefile(kind)
    except (OSError, TypeError):
        return False
    return file is not None and is_users(file) and "site-packages" not in file
