"""Follows training loops of a program's own on JAX, jitted and eager.

Of jitted functions the arguments and results are read, and of sampled steps all else is computed a
second time; what is not jitted is seen while it runs.
"""

import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import jax
import keras
import numpy as np

from nntrace.recorder import Recorder
from nntrace.schema import EventKind
from nntrace_keras.jax.differentiation import Derivative, Differentiation
from nntrace_keras.jax.jitted import JittedFunctions, UserFunction
from nntrace_keras.jax.keys import VariableKeys
from nntrace_keras.jax.noting import Noting
from nntrace_keras.jax.samples import Values, elements, seen_gradients
from nntrace_keras.jax.scopes import Scopes
from nntrace_keras.jax.second import JaxSecond, Looked
from nntrace_keras.jax.steps import LoopSteps
from nntrace_keras.jax.traced import Applied, Traced
from nntrace_keras.jax.user_step import UserStep
from nntrace_keras.jax.watch import CannotComputeError
from nntrace_keras.patching import Undo, after, before
from nntrace_keras.program.settings import inner_optimizer

_UNSEEN = "activations and gradients of a training loop on JAX"


@dataclass(slots=True)
class _Begun:
    """A call of a jitted function that trains.

    Attributes:
        before: the sampled elements of its variables by their ids; empty if it is not sampled.
    """

    function: UserFunction
    traced: Traced
    leaves: Sequence[Any]
    looked: Sequence[Looked] = ()
    before: dict[int, Values] = field(default_factory=dict)


class _Local(threading.local):
    def __init__(self) -> None:
        self.is_aside = False


class JaxLoops:
    """Follows every loop.

    Args:
        second: makes what computes a step once more.
    """

    def __init__(
        self,
        recorder: Recorder,
        differentiation: Differentiation,
        keys: VariableKeys,
        steps: LoopSteps,
        second: Callable[[], JaxSecond],
    ) -> None:
        self._recorder = recorder
        self._differentiation = differentiation
        self._keys = keys
        self._steps = steps
        self._new_second = second
        self._seconds: weakref.WeakKeyDictionary[UserFunction, JaxSecond | None] = (
            weakref.WeakKeyDictionary()
        )
        self._rates: weakref.WeakKeyDictionary[Any, tuple[Any, float]] = weakref.WeakKeyDictionary()
        self._inputs: weakref.WeakKeyDictionary[UserFunction, int] = weakref.WeakKeyDictionary()
        self._learnt: weakref.WeakSet[Any] = weakref.WeakSet()
        self._told: dict[str, None] = {}
        self._turn = 0
        self._local = _Local()

    def install(self) -> list[Undo]:
        """Watch `jax.jit`, derivatives and optimizers."""
        guard = self._recorder.guard
        self.begins, self.traced = guard(self._begins), guard(self._was_traced)
        self.ended = guard(self._ended)
        self._jitted = JittedFunctions(guard, self, lambda: self._is_active)
        self._begin_noting = guard(self._notes)
        self._note_gradients = guard(self._was_computed)
        applied = guard(self._was_applied)
        self._learn = guard(self._learns)
        self._differentiation.otherwise(self._differentiate)
        self._recorder.hooks.on_end(guard(self._steps.finish))
        kinds = (keras.optimizers.Optimizer, keras.optimizers.LossScaleOptimizer)
        return [
            self._jitted.install(),
            *(after(kind, "stateless_apply", applied) for kind in kinds),
            before(keras.layers.Layer, "stateless_call", self._learn),
        ]

    @property
    def unseen(self) -> str:
        """Why nothing is known of what was trained; empty if there is no reason."""
        return next(iter(self._told), "")

    @contextmanager
    def aside(self) -> Iterator[None]:
        """A context in which nothing called on this thread is a step of a loop."""
        before, self._local.is_aside = self._local.is_aside, True
        try:
            yield
        finally:
            self._local.is_aside = before

    @property
    def _is_active(self) -> bool:
        return self._recorder.active and not self._local.is_aside

    # Jitted functions.

    def _begins(self, function: UserFunction, arguments: Any) -> _Begun | None:
        leaves, structure = jax.tree_util.tree_flatten(arguments)
        traced = function.known(structure, leaves)
        if traced is None:
            return None
        return self._begun(function, traced, structure, leaves)

    def _was_traced(
        self, function: UserFunction, arguments: Any, traced: Traced | None
    ) -> _Begun | None:
        leaves, structure = jax.tree_util.tree_flatten(arguments)
        if traced is None or traced.arguments != len(leaves):
            return None
        function.learn(structure, leaves, traced)
        if traced.unseen:
            name = function.call.__name__
            reason = f"an optimizer steps inside a loop of JAX in {name} (`scan`, say)"
            self._say(f"{reason}, or on variables that are none of its arguments")
        return self._begun(function, traced, structure, leaves)

    def _begun(
        self, function: UserFunction, traced: Traced, structure: Any, leaves: Sequence[Any]
    ) -> _Begun | None:
        trains = traced.derived or traced.applied
        if not trains or any(isinstance(leaf, jax.core.Tracer) for leaf in leaves):
            return None
        self._recorder.training_begins()
        begun = _Begun(function, traced, leaves)
        # In its first call it may have taken over what it was given before it was known to train.
        if self._steps.samples and not any(_is_gone(leaf) for leaf in leaves):
            for one in traced.derived:
                self._read(begun.before, one.variables, [leaves[n] for n in one.places])
            for step in traced.applied:
                self._read(begun.before, step.variables, [leaves[n] for n in step.before])
            begun.looked = self._look(function, traced, structure, leaves)
        return begun

    @staticmethod
    def _read(before: dict[int, Values], variables: Sequence[Any], arrays: Sequence[Any]) -> None:
        before.update(zip(map(id, variables), elements(arrays), strict=True))

    def _look(
        self, function: UserFunction, traced: Traced, structure: Any, leaves: Sequence[Any]
    ) -> Sequence[Looked]:
        if function not in self._seconds:
            self._seconds[function] = self._new_second()
        second = self._seconds[function]
        if second is None or not traced.derived:
            return ()
        self._turn += 1
        step = UserStep(function, structure, leaves, traced.static, self._keys)
        variant = function.variant(structure, leaves)
        try:
            return second.look(step, step.arguments, self._turn, variant)
        except CannotComputeError as error:
            self._seconds[function] = None
            self._say(f"{function.call.__name__} cannot be computed a second time: {error}")
            return ()

    def _ended(self, begun: _Begun, result: Any) -> None:
        leaves = jax.tree_util.tree_leaves(result)
        for number, derived in enumerate(begun.traced.derived):
            looked = begun.looked[number] if number < len(begun.looked) else None
            self._steps.computed(
                derived.variables,
                [begun.leaves[place] for place in derived.places],
                None if derived.loss is None else _later(leaves[derived.loss]),
                looked,
                self._examples(begun, looked),
                begun.function,
                _known(begun.before, derived.variables),
            )
        for applied in begun.traced.applied:
            self._steps.applied(
                applied.optimizer,
                applied.variables,
                _known(begun.before, applied.variables),
                [leaves[place] for place in applied.after],
                self._rate(applied, begun.leaves, leaves),
            )

    def _examples(self, begun: _Begun, looked: Looked | None) -> int | None:
        """The size of the batch, of the argument that a sampled step showed to go in."""
        if looked is not None and looked.inputs:
            dynamic = [n for n in range(len(begun.leaves)) if n not in begun.traced.static]
            self._inputs[begun.function] = dynamic[looked.inputs[0]]
        place = self._inputs.get(begun.function)
        shape = np.shape(begun.leaves[place]) if place is not None else ()
        return int(shape[0]) if shape else None

    def _rate(self, step: Applied, given: Sequence[Any], gave: Sequence[Any]) -> float | None:
        """The learning rate: read anew only if it is not what the last step gave back unchanged."""
        before, after = step.rate
        if before is None:
            return None
        last, rate = self._rates.get(step.optimizer, (None, 0.0))
        if last is None or last() is not given[before]:
            unread = given[before] if after is None else gave[after]
            if _is_gone(unread):
                return None
            rate = float(np.asarray(unread))
        if after is not None:
            self._rates[step.optimizer] = (weakref.ref(gave[after]), rate)
        return rate

    # What is not jitted.

    def _learns(self, model: Any, *args: Any, **kwargs: Any) -> None:
        if model.built and model not in self._learnt:
            self._learnt.add(model)
            self._keys.learn(model)

    def _differentiate(
        self, asked: Derivative, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Compute what the program asks for, whatever becomes of what is noted of it."""
        noting = self._begin_noting(asked, args)
        if noting is None:
            return asked.plain(*args, **kwargs)
        try:
            value, gradients = asked.computed(args, kwargs, noting.called)
        finally:
            noting.end()
        self._note_gradients(asked, noting, value, gradients)
        return asked.result(value, gradients)

    def _notes(self, asked: Derivative, args: tuple[Any, ...]) -> Noting | None:
        """What is about to be noted of a derivative; None if nothing is."""
        tracing, outer = self._jitted.tracing, asked.leaves(args)
        if tracing is not None:
            if not tracing.is_here:
                return None
        elif not self._is_active or any(isinstance(leaf, jax.core.Tracer) for leaf in outer):
            return None
        return Noting(self._recorder.guard, asked, outer, tracing)

    def _was_computed(self, asked: Derivative, noting: Noting, value: Any, gradients: Any) -> None:
        loss = value[0] if asked.has_aux else value
        by = list(zip(noting.outer, noting.inner, strict=False))
        if noting.tracing is not None:
            noting.tracing.derived(by, loss)
        else:
            self._computed_eagerly(asked, noting.scopes, loss, gradients, by)

    def _computed_eagerly(
        self, asked: Derivative, scopes: Scopes, loss: Any, gradients: Any, by: Sequence[Any]
    ) -> None:
        found = jax.tree_util.tree_leaves(gradients)
        if isinstance(loss, jax.core.Tracer) or len(found) != len(by):
            return
        named = [(scopes.variable(*pair), pair[0], g) for pair, g in zip(by, found, strict=True)]
        known = [one for one in named if one[0] is not None]
        if not known:
            return
        self._recorder.training_begins()
        variables, arrays, of_these = (list(part) for part in zip(*known, strict=True))
        before, looked = [], None
        if self._steps.samples:
            before, looked = elements(arrays), seen_gradients(self._keys.of(variables), of_these)
        self._steps.computed(variables, arrays, _later(loss), looked, None, asked.function, before)

    def _was_applied(
        self,
        result: Any,
        optimizer: Any,
        optimizer_variables: Any,
        grads: Any,
        trainable_variables: Any,
    ) -> None:
        tracing = self._jitted.tracing
        if tracing is not None:
            tracing.applied(optimizer, optimizer_variables, trainable_variables, result)
        elif self._is_active:
            self._applied_eagerly(result, optimizer, optimizer_variables, trainable_variables)

    def _applied_eagerly(self, result: Any, optimizer: Any, own: Any, values: Any) -> None:
        if any(isinstance(leaf, jax.core.Tracer) for leaf in (*values, *result[0])):
            return
        rate = getattr(inner_optimizer(optimizer), "_learning_rate", None)
        places = [n for n, variable in enumerate(optimizer.variables) if variable is rate]
        lr = float(np.asarray(own[places[0]])) if places else None
        before = elements(values) if self._steps.samples else []
        variables = list(optimizer._trainable_variables)
        self._steps.applied(optimizer, variables, before, result[0], lr)

    def _say(self, reason: str) -> None:
        if reason not in self._told:
            self._told[reason] = None
            self._recorder.add_event(EventKind.UNSEEN, {"what": _UNSEEN, "reason": reason})


def _known(before: dict[int, Values], variables: Sequence[Any]) -> list[Values]:
    found = [before[id(variable)] for variable in variables if id(variable) in before]
    return found if len(found) == len(variables) else []


def _later(loss: Any) -> Callable[[], float]:
    return lambda: float(np.asarray(loss))


def _is_gone(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array) and leaf.is_deleted()
