"""Finds where a non-finite value comes from in a training graph: the operation and the user's line.

When a step's loss or gradients are found non-finite, the step is computed a third time, from its
own inputs and from variables as they were before it, with a few statistics of every tensor. From
what broke, the search goes back to the first operation whose operands are finite. Other steps pay
nothing for it.
"""

import bisect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from nntrace_keras.nonfinite import facts
from nntrace_keras.nonfinite.facts import Range
from nntrace_keras.program.sources import Sources, is_users
from nntrace_keras.tape.under_tape import Span

# The names that the rules use.
_NAMES = {
    **dict.fromkeys(("RealDiv", "Div", "DivNoNan", "Xdivy"), "div"),
    **dict.fromkeys(("Reciprocal", "Inv"), "reciprocal"),
    "Mul": "mul",
    "Cast": "to_copy",
}
_BACKWARD = "gradient_tape/"


def ranges(tensors: Sequence[Any]) -> Any:
    """In a graph: compute the fields of each tensor's `Range`, float64 [tensors, 5]."""
    functions: dict[Any, Any] = {}

    def of(tensor: Any) -> Any:
        function = functions.get(tensor.dtype)
        if function is None:
            spec = [tf.TensorSpec(None, tensor.dtype)]
            function = tf.function(_range, input_signature=spec, autograph=False)
            functions[tensor.dtype] = function
        return function(tensor)

    return tf.stack([of(tensor) for tensor in tensors])


def _range(tensor: Any) -> Any:
    is_finite = tf.math.is_finite(tensor)
    low = tf.reduce_min(tf.where(is_finite, tensor, tensor.dtype.max))
    high = tf.reduce_max(tf.where(is_finite, tensor, tensor.dtype.min))
    nan = tf.reduce_any(tf.math.is_nan(tensor))
    inf = tf.reduce_any(tf.math.is_inf(tensor))
    first = tf.argmax(tf.concat([[0], tf.cast(~tf.reshape(is_finite, [-1]), tf.int32)], 0)) - 1
    return tf.stack([tf.cast(number, tf.float64) for number in (low, high, nan, inf, first)])


def as_ranges(tensors: Sequence[Any], numbers: Any) -> dict[str, Range]:
    """The results of `ranges`, by the names of the tensors."""
    rows = zip(tensors, np.asarray(numbers).tolist(), strict=True)
    return {tensor.name: _as_range(row) for tensor, row in rows}


def likely_origins(broken: Sequence[Any], known: Mapping[str, Range]) -> list[Any]:
    """The operations that may have returned the first value that made `broken` non-finite.

    A NaN is followed to where it was made, then an infinity that it was made from: the latter is
    more likely and comes first, unless the program wrote it itself, as in a mask.
    """
    starts = [t for t in broken if t.name in known and not known[t.name].is_finite]
    made_nan = _first([t for t in starts if known[t.name].nan], known, lambda found: found.nan)
    if made_nan is not None:
        starts = [t for t in made_nan.inputs if t.name in known and known[t.name].inf]
    made_infinity = _first(starts, known, lambda found: not found.is_finite)
    return [operation for operation in (made_infinity, made_nan) if operation is not None]


def _first(starts: Sequence[Any], known: Mapping[str, Range], is_bad: Any) -> Any | None:
    """The first operation, upstream of `starts`, that is bad and has no bad operands.

    A list of tensors, as a loop over time steps takes and makes it, is looked through: no range of
    it is known.
    """
    seen: dict[str, Any] = {}
    waiting = list(starts)
    found = []
    while waiting:
        operation = waiting.pop().op
        if operation.name in seen:
            continue
        seen[operation.name] = operation
        bad = [t for t in operation.inputs if t.name in known and is_bad(known[t.name])]
        waiting += bad
        waiting += [t for t in operation.inputs if t.dtype == tf.variant]
        is_broken = any(t.name in known and is_bad(known[t.name]) for t in operation.outputs)
        if is_broken and not bad:
            found.append(operation)
    computed = [operation for operation in found if computes(operation)]
    return min(computed or found, key=lambda o: o._id, default=None)


def computes(operation: Any) -> bool:
    """Whether an operation computes with numbers, rather than passing on or producing them."""
    return any(tensor.dtype.is_floating for tensor in operation.inputs)


def is_call(operation: Any) -> bool:
    """Whether an operation calls a function or is a loop, whose inside is not searched."""
    return any(attr.HasField("func") for attr in operation.node_def.attr.values())


def described(
    operation: Any, known: Mapping[str, Range], spans: Sequence[Span], sources: Sources
) -> dict[str, Any]:
    """The payload of an origin event, for an operation that `likely_origins` has found."""
    result = next(t for t in operation.outputs if t.name in known and not known[t.name].is_finite)
    told: dict[str, Any] = {"kind": "nan" if known[result.name].nan else "inf"}
    is_backward = operation.name.startswith(_BACKWARD) or f"/{_BACKWARD}" in operation.name
    of = _forward(operation) if is_backward else operation
    span = span_of(of, spans)
    where = "backward" if is_backward else "forward" if span is not None else "loss"
    operands = [(t, known[t.name]) for t in of.inputs if t.name in known]
    return {
        "where": where,
        **told,
        "op": op_name(operation),
        "what": what(of, result, operands),
        "module": span.path if span is not None else "",
        "module_type": type(span.layer).__name__ if span is not None else "",
        **line_of(of, span, sources),
        "operands": [
            operand(t.op.name, t, found) for t, found in operands if found.low <= found.high
        ],
        "derivative": op_name(of) if is_backward else "",
    }


def operand(name: str, tensor: Any, found: Range) -> dict[str, Any]:
    """What an origin says of one operand."""
    sizes = tensor.shape.as_list() if tensor.shape.rank is not None else []
    return facts.operand(name, sizes, tensor.dtype.name, found)


def as_range(tensor: Any) -> Range:
    """The range of an eager tensor."""
    return _as_range(_range(tensor).numpy().tolist())


def _as_range(numbers: Sequence[float]) -> Range:
    low, high, nan, inf, first = numbers
    return Range(low, high, bool(nan), bool(inf), int(first))


def op_name(operation: Any) -> str:
    """The rules' name for an operation."""
    return _NAMES.get(operation.type, str(operation.type).lower())


def what(operation: Any, result: Any, operands: Sequence[tuple[Any, Range]]) -> str:
    """Why an operation's result is not finite, by its finite operands."""
    dtype = result.dtype
    found = [found for _, found in operands]
    return facts.why(op_name(operation), dtype.name, float(dtype.max), found)


def _forward(operation: Any) -> Any:
    """The operation whose derivative this one is part of; itself if that is unknown."""
    wanted = operation.type.removesuffix("Grad")
    near = [tensor.op for tensor in _behind(operation)]
    forward = [o for o in near if _BACKWARD not in o.name and computes(o)]
    same = [o for o in forward if o.type == wanted]
    return next(iter(same or forward), operation)


def _behind(operation: Any) -> Iterator[Any]:
    """The tensors that an operation is computed from, nearest first, up to the forward pass."""
    waiting = list(operation.inputs)
    seen: set[str] = set()
    for tensor in waiting:
        if tensor.name not in seen and len(seen) < 200:
            seen.add(tensor.name)
            yield tensor
            if _BACKWARD in tensor.op.name:
                waiting += list(tensor.op.inputs)


def span_of(operation: Any, spans: Sequence[Span]) -> Span | None:
    """The layer in whose call an operation was made."""
    mine = sorted((s for s in spans if s.graph is operation.graph), key=lambda span: span.start)
    number = operation._id
    place = bisect.bisect_right([span.start for span in mine], number) - 1
    return mine[place] if place >= 0 and number < mine[place].end else None


def line_of(operation: Any, span: Span | None, sources: Sources) -> dict[str, Any]:
    """The user's innermost line; for one of Keras' own layers, the line that built it."""
    frames = list(operation.traceback)
    mine = [n for n, frame in enumerate(frames) if is_users(frame.filename)]
    built = sources.of(span.layer) if span is not None else None
    if mine and not any("trainer.py" in frame.filename for frame in frames[mine[-1] :]):
        frame = frames[mine[-1]]
        return {
            "file": frame.filename,
            "line": frame.lineno,
            "source": (frame.line or "").strip(),
            "function": frame.name,
        }
    if built is not None:
        return built.place
    return {"file": frames[mine[-1]].filename, "line": frames[mine[-1]].lineno} if mine else {}
