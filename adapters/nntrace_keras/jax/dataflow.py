"""Which layer's output enters which: read off what JAX traced of a function to be differentiated.

An operation belongs to the layer in whose name scope it is. Functions that JAX traced apart are
followed as if they had been written out; of a loop only its result is known.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
from jax.extend.core import Literal

from nntrace.adapter.flow import FlowGraph, ModuleCall, Operation
from nntrace_keras.jax.operations import MOST_OPERATIONS, Call, inside_of, operations_in
from nntrace_keras.program.describe import activation_name

# Operations that move or copy elements and change none of them.
_MOVES = frozenset(
    {
        *("reshape", "transpose", "squeeze", "expand_dims", "broadcast_in_dim", "copy"),
        *("to_copy", "copy_p", "optimization_barrier", "reduce_precision"),
    }
)
# Functions of `jax.nn` that are one operation in the other frameworks.
_FUNCTIONS = frozenset(
    {
        *("relu", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "softplus"),
        *("softmax", "log_softmax", "logsumexp", "hard_sigmoid", "hard_tanh"),
    }
)


@dataclass(frozen=True, slots=True, eq=False)
class _Made:
    """A value that has a gradient: the operation that made it, and what that was made of."""

    name: str
    mark: int | None
    given: tuple["_Made", ...] = ()


def flow_graph(
    closed: Any,
    trained: Sequence[Any],
    layers: Mapping[int, tuple[Any, str]],
) -> FlowGraph | None:
    """What leads to a function's first result; None if it has too many operations.

    Args:
        closed: the function, a `ClosedJaxpr`.
        trained: the arrays that it is differentiated by, among the constants of `closed`.
        layers: those that call no others, with their paths, by the numbers of their name scopes.
    """
    if operations_in(closed) > MOST_OPERATIONS:
        return None
    ids = {id(array) for array in trained}
    sources = [_Made("", None) if id(const) in ids else None for const in closed.consts]
    stopped: list[_Made] = []
    loss, *_ = _follow(closed.jaxpr, sources, [], None, stopped)
    calls = [
        ModuleCall(2 * mark, 2 * mark + 1, path, activation_name(layer))
        for mark, (layer, path) in sorted(layers.items())
    ]

    def describe(made: _Made) -> Operation:
        return made, -1 if made.mark is None else 2 * made.mark, made.name

    graph = FlowGraph(calls)
    graph.walk([loss] if loss is not None else [], describe, lambda made: made.given)
    for made in stopped:
        if made.mark is not None and made.mark in layers:
            graph.detach(layers[made.mark][1])
    return graph


def _follow(
    jaxpr: Any,
    constants: Sequence[_Made | None],
    values: Sequence[_Made | None],
    outer: Call | None,
    stopped: list[_Made],
) -> list[_Made | None]:
    """What makes the results; None for what has no gradient.

    Args:
        stopped: receives what the program uses without its gradient, outside of layers.
    """
    known = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*constants, *values], strict=True))

    def read(atom: Any) -> _Made | None:
        return None if isinstance(atom, Literal) else known.get(atom)

    for equation in jaxpr.eqns:
        call = Call(equation, outer)
        given = [read(atom) for atom in equation.invars]
        inside = inside_of(equation)
        word = str(equation.params.get("name", ""))
        if inside is not None and word not in _FUNCTIONS:
            closed_over = [None] * len(inside.consts)
            results = _follow(inside.jaxpr, closed_over, given, call, stopped)
            known.update(zip(equation.outvars, results, strict=True))
            continue
        taken = tuple(made for made in given if made is not None)
        if call.name == "stop_gradient":
            stopped += [_source(made) for made in taken if call.mark is None]
            continue
        if not taken:
            continue
        name = word.replace("_", "") if inside is not None else call.name
        made = _Made("" if name in _MOVES else name, call.mark, taken)
        known |= {out: made for out in equation.outvars if _has_gradient(out)}
    return [read(atom) for atom in jaxpr.outvars]


def _source(made: _Made) -> _Made:
    """What a value was made by, but for what only moved its elements outside of layers."""
    while made.mark is None and not made.name and made.given:
        made = made.given[0]
    return made


def _has_gradient(variable: Any) -> bool:
    return bool(jnp.issubdtype(variable.aval.dtype, jnp.inexact))
