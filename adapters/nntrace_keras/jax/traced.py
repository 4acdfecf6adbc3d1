"""What a program's own jitted function does, as one trace of it shows: which gradients, which step.

Arrays are known by their places among the leaves of its arguments and of its result. JAX hands the
very tracers of the arguments on, so that who receives one is known by identity.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
from jax.extend.core import get_opaque_trace_state

from nntrace_keras.jax.scopes import Scopes
from nntrace_keras.patching import Guard
from nntrace_keras.program.settings import inner_optimizer


class Derived(NamedTuple):
    """Gradients by variables that are arguments.

    Attributes:
        places: of the variables among the arguments.
        loss: the place of the loss in the result; None if it is not given back, or multiplied by
            a scale.
    """

    variables: tuple[Any, ...]
    places: tuple[int, ...]
    loss: int | None


class Applied(NamedTuple):
    """A step of an optimizer.

    Attributes:
        before: the places of its variables among the arguments.
        after: the places of what becomes of them in the result.
        rate: the places of its learning rate: among the arguments, and in the result if it is
            given back unchanged; None each.
    """

    optimizer: Any
    variables: tuple[Any, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]
    rate: tuple[int | None, int | None]


class Traced(NamedTuple):
    """One trace.

    Attributes:
        static: the places of what is no array, but decides what is traced.
        unseen: how many steps of optimizers cannot be followed.
        arguments: how many leaves they have.
    """

    derived: tuple[Derived, ...]
    applied: tuple[Applied, ...]
    static: tuple[int, ...]
    unseen: int
    arguments: int


class Tracing:
    """Notes what a function calls while JAX traces it, from now on.

    Args:
        guard: keeps errors away from the function.

    Attributes:
        end: to be called when it has been traced.
    """

    def __init__(self, guard: Guard) -> None:
        self._state = get_opaque_trace_state()
        self._scopes = Scopes()
        self.end = self._scopes.install(guard)
        self._derived: list[tuple[Sequence[tuple[Any, Any]], Any]] = []
        self._applied: list[tuple[Any, Sequence[Any], Sequence[Any], Any]] = []
        # Optimizers that step in loops, which JAX traces apart.
        self._elsewhere: dict[int, Any] = {}

    @property
    def is_here(self) -> bool:
        """Not so in loops and functions that JAX traces by themselves."""
        return bool(self._state == get_opaque_trace_state())

    def derived(self, by: Sequence[tuple[Any, Any]], loss: Any) -> None:
        """Gradients have been computed.

        Args:
            by: what they are by, as the caller of the function sees it and as itself does.
            loss: the value of the function.
        """
        self._derived.append((by, loss))

    def applied(self, optimizer: Any, own: Sequence[Any], values: Sequence[Any], new: Any) -> None:
        """An optimizer has been asked for a step: with its own variables, of these values."""
        if self.is_here:
            self._applied.append((optimizer, own, values, new))
        else:
            self._elsewhere[id(optimizer)] = optimizer

    def traced(self, arguments: Any, result: Any) -> Traced:
        """What there was, from the tracers of the arguments and of the result."""
        leaves = jax.tree_util.tree_leaves(arguments)
        given, gave = _places(leaves), _places(jax.tree_util.tree_leaves(result))
        applied = [self._step(*one, given, gave) for one in self._applied]
        followed = [one for one in applied if one is not None]
        seen = {id(part) for one, *_ in self._applied for part in (one, inner_optimizer(one))}
        return Traced(
            tuple(one for one in (self._gradient(*d, given, gave) for d in self._derived) if one),
            tuple(followed),
            tuple(n for n, leaf in enumerate(leaves) if not isinstance(leaf, jax.core.Tracer)),
            len(applied) - len(followed) + len(self._elsewhere.keys() - seen),
            len(leaves),
        )

    def _gradient(
        self, by: Sequence[tuple[Any, Any]], loss: Any, given: dict[int, int], gave: dict[int, int]
    ) -> Derived | None:
        if any(_scales(optimizer) for optimizer, *_ in self._applied):
            loss = None
        found = [(self._scopes.variable(*pair), given.get(id(pair[0]))) for pair in by]
        known = [(variable, at) for variable, at in found if variable is not None]
        if not known or any(at is None for _, at in known):
            return None
        variables, places = zip(*known, strict=True)
        return Derived(variables, places, gave.get(id(loss)))

    @staticmethod
    def _step(
        optimizer: Any,
        own: Sequence[Any],
        values: Sequence[Any],
        new: Any,
        given: dict[int, int],
        gave: dict[int, int],
    ) -> Applied | None:
        before, after = _all_known(values, given), _all_known(new[0], gave)
        if before is None or after is None:
            return None
        rate = getattr(inner_optimizer(optimizer), "_learning_rate", None)
        place = next((n for n, one in enumerate(optimizer.variables) if one is rate), None)
        rates: tuple[int | None, int | None] = (None, None)
        if place is not None:
            is_same = new[1][place] is own[place]
            rates = given.get(id(own[place])), gave.get(id(new[1][place])) if is_same else None
        variables = tuple(optimizer._trainable_variables)
        return Applied(optimizer, variables, before, after, rates)


def _all_known(values: Sequence[Any], by_id: Mapping[int, int]) -> tuple[int, ...] | None:
    """Where each value is; None unless all are known."""
    known = [place for value in values if (place := by_id.get(id(value))) is not None]
    return tuple(known) if len(known) == len(values) else None


def _scales(optimizer: Any) -> bool:
    return inner_optimizer(optimizer) is not optimizer or bool(optimizer.loss_scale_factor)


def _places(leaves: Sequence[Any]) -> dict[int, int]:
    return {id(leaf): n for n, leaf in enumerate(leaves) if isinstance(leaf, jax.core.Tracer)}
