"""Where a step on JAX gave the first value that is not finite: the operation, the layer, the line.

The step is traced and computed again, operation by operation, from its own arguments.
"""

import linecache
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from nntrace_keras.jax import watch as watching
from nntrace_keras.jax.operations import (
    MOST_OPERATIONS,
    Call,
    Computation,
    Frame,
    Operation,
    kind_of,
    operations_in,
    range_of,
)
from nntrace_keras.jax.watch import CannotComputeError, JaxWatch, Seen
from nntrace_keras.nonfinite.facts import operand, origin_of, why
from nntrace_keras.program.sources import Source, Sources, is_users

_JAX = jax.__file__.removesuffix("__init__.py")
# Between an operation and who asked for it; what JAX's functions of arrays call is no part of it.
_MACHINERY = tuple(
    f"{_JAX}_src/{name}"
    for name in ("interpreters", "core", "pjit", "traceback_util", "source_info_util", "api")
)
# By which operations the derivatives of some are computed, where others would do it, too.
_DERIVED = {
    "div": ("log", "log1p", "div", "sqrt", "atanh", "acosh"),
    "mul": ("sqrt", "rsqrt", "pow", "div", "mul"),
    "pow": ("pow",),
}


class Given(NamedTuple):
    """Names of a step's arguments, by their place among all leaves.

    Attributes:
        data: what came in with the batch, as its site is called.
        weights: trainable variables.
    """

    data: Mapping[int, str]
    weights: Mapping[int, str]


def search(
    watch: JaxWatch,
    run: Callable[..., Any],
    arguments: Sequence[Any],
    named: Callable[[Seen], Given],
    parameters: Sequence[str],
    sources: Sources,
) -> dict[str, Any] | None:
    """The payload of an origin; None where this step, so computed, breaks nothing.

    Args:
        watch: sees what the step calls while it is traced.
        run: the step.
        arguments: of it.
        named: what its arguments are, once it was traced.
        parameters: the paths of what the gradients are of.
        sources: where layers were built.

    Raises:
        CannotComputeError: nothing can be seen of this step.
    """

    def compute(*args: Any) -> Any:
        with watch.watching():
            run(*args)
        if watch.seen is None:
            raise CannotComputeError("it calls neither `jax.value_and_grad` nor `jax.grad`")
        return watch.seen.loss, watch.seen.gradients, watch.seen.stepped

    closed, shapes = jax.make_jaxpr(compute, return_shape=True)(*arguments)
    if operations_in(closed) > MOST_OPERATIONS:
        raise CannotComputeError("it has too many operations")
    seen = watch.seen
    assert seen is not None
    gradients = len(jax.tree_util.tree_leaves(shapes[1]))
    leaves = jax.tree_util.tree_leaves(arguments)

    def computed(wanted: int = 0) -> tuple[Computation, list[Any], list[int]]:
        computation = Computation(wanted)
        given = [computation.value(leaf) for leaf in leaves]
        results = computation.run(closed, given, until=closed.jaxpr.outvars[0])
        return computation, results, [value.number for value in given]

    computation, results, given = computed()
    names = [result.number for result in results]
    is_bad = [number in computation.kinds for number in names]
    if not any(is_bad):
        return None
    told, judged = _where_seen(is_bad, gradients, parameters)
    bad = [number for number, broke in zip(names[judged], is_bad[judged], strict=True) if broke]
    found = origin_of({number: computation.kinds[number] for number in bad}, computation.made)
    if found is None:
        came = _came_with(named(seen), leaves, computation, given)
        return None if came is None else {**told, **came}
    if "parameter" in told:
        return {**told, "where": "update", **_facts(found)}
    forward = computation.before(names[0])
    if found.number in forward:
        return {**told, **_place(found.call, seen, sources), **_facts(found)}
    of = _differentiated(found, computation, forward)
    place = {**told, **_place((of or found).call, seen, sources), "where": "backward"}
    if of is None:
        return {**place, **_facts(found)}
    again, _, _ = computed(of.number)
    of = again.made.get(of.number, of)
    facts = {**_facts(of), "op": found.call.name, "kind": found.kind}
    return {**place, **facts, "derivative": of.call.name}


def _where_seen(
    is_bad: Sequence[bool], gradients: int, parameters: Sequence[str]
) -> tuple[dict[str, Any], slice]:
    """What of a step is not finite, as facts, and the results among which its origin is sought.

    Args:
        is_bad: of the loss, then of each gradient, then of each variable after the update.
        gradients: how many of these are gradients.
        parameters: the paths of what gradients are of, or of the variables.
    """
    if is_bad[0]:
        return {"seen_in": "loss"}, slice(None)
    broke, updated = is_bad[1 : 1 + gradients], is_bad[1 + gradients :]
    if any(broke):
        told: dict[str, Any] = {"seen_in": "gradient"}
        if len(parameters) == gradients:
            paths = [path for path, one in zip(parameters, broke, strict=True) if one]
            told["parameters"] = paths[:8]
        return told, slice(1, 1 + gradients)
    told = {"seen_in": "loss"}
    if len(parameters) == len(updated):
        told["parameter"] = parameters[updated.index(True)]
    return told, slice(None)


def _facts(found: Operation) -> dict[str, Any]:
    ranges = [(one, known) for one, known in found.operands if known.low <= known.high]
    return {
        "kind": found.kind,
        "op": found.call.name,
        "what": why(found.call.name, found.dtype, found.limit, [r for _, r in found.operands]),
        "operands": [operand("", one.shape, one.dtype, known) for one, known in ranges],
        "derivative": "",
    }


def _came_with(
    named: Given, leaves: Sequence[Any], computation: Computation, given: Sequence[int]
) -> dict[str, Any] | None:
    """What was not finite when the step began."""
    for place, name in named.data.items():
        if (kind := computation.kinds.get(given[place])) is not None:
            known = range_of(leaves[place])
            assert known is not None
            index = np.unravel_index(known.first, np.shape(leaves[place]))
            told = "NaN" if kind == "nan" else "infinite"
            place_of = {"given": name, "index": [int(n) for n in index]}
            return {"where": "data", "kind": kind, "what": told, **place_of}
    for place, name in named.weights.items():
        if (kind := computation.kinds.get(given[place])) is not None:
            told = "it holds NaN" if kind == "nan" else "it holds infinities"
            return {"where": "weights", "kind": kind, "what": told, "parameter": name}
    return None


class _Forward(NamedTuple):
    call: Call
    number: int
    score: float


def _differentiated(
    found: Operation, computation: Computation, forward: set[int]
) -> "Operation | None":
    """The operation of the forward pass whose derivative this one is a part of.

    What JAX computes for a derivative has the callers of the operation itself.
    """
    wanted, mark = _asked_by(found.call), found.call.mark
    near = set(computation.calls[found.number][1])
    for number in list(near):
        if number not in forward and number in computation.calls:
            near |= set(computation.calls[number][1])
    best: _Forward | None = None
    for number in sorted(forward):
        if number not in computation.calls:
            continue
        call, given = computation.calls[number]
        if call.mark != mark or _asked_by(call) != wanted:
            continue
        likely = call.name in _DERIVED.get(found.call.name, ())
        score = 2.0 * (number in near) + (not near.isdisjoint(given)) + 0.5 * likely
        if best is None or score >= best.score:
            best = _Forward(call, number, score)
    if best is None:
        return None
    return Operation(best.call, best.number, found.kind, found.dtype, found.limit, {}, ())


def _asked_by(call: Call) -> tuple[Frame, ...]:
    frames = call.frames
    return tuple(f for f in frames if not f.file.startswith(_MACHINERY))


def _place(call: Call, seen: Seen, sources: Sources) -> dict[str, Any]:
    """Where an operation of the forward pass is: in a layer, in a loss function, between them.

    The line is the innermost of the user's; of a layer of Keras' own that is where it was built.
    """
    marked = seen.marked[call.mark] if call.mark is not None else None
    told: dict[str, Any] = {"where": "loss", "module": "", "module_type": ""}
    source = None
    if isinstance(marked, tuple) and not isinstance(marked, Source):
        layer, path = marked
        told = {"where": "forward", "module": path, "module_type": type(layer).__name__}
        source = sources.of(layer)
    elif marked is not None:
        source = marked
    if call.time_step is not None:
        told["time_step"] = call.time_step
    for frame in call.frames:
        if frame.file == watching.__file__:
            break  # the call of a layer, of a loss function, or of the whole
        if is_users(frame.file):
            line = linecache.getline(frame.file, frame.line).strip()
            function = frame.function.rpartition(".")[2]
            place = {"file": frame.file, "line": frame.line, "source": line}
            return {**told, **place, "function": function}
    return told if source is None else {**told, **source.place}


def all_finite(tree: Any) -> bool:
    """Whether all arrays of real numbers are."""
    return all(kind_of(leaf) is None for leaf in jax.tree_util.tree_leaves(tree))
