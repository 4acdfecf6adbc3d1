"""Where a NaN was born in a step that runs eagerly: the operation and the user's line.

Before the update, models and loss functions are called once more with the same arguments, and every
operation that gives something non-finite is noted. Variables that are not trained and random
numbers are afterwards what they were.
"""

import math
import random
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras.src.backend.common import global_state
from tensorflow.python.eager import context, record
from tensorflow.python.framework import op_callbacks

from nntrace.recorder import Recorder
from nntrace.schema import EventKind
from nntrace_keras.origins import Range, as_range, op_name, operand, what
from nntrace_keras.sources import Sources, is_users
from nntrace_keras.tapes import Tapes
from nntrace_keras.under_tape import Calls, Gradient

_MOST_SEARCHES = 3
_FRAMES = 100


@dataclass(frozen=True, slots=True, eq=False)
class _Broken:
    """An operation that gave something non-finite.

    Attributes:
        results: what it gave; the first is not finite.
        kind: what that holds, "nan" or "inf".
        given: the ids of what was non-finite among its operands, and how.
        operands: all of them that are numbers, with their ranges.
        frames: file, line and function of who called it, and the layer whose method that is.
    """

    type: str
    results: tuple[Any, ...]
    kind: str
    given: Mapping[int, str]
    operands: tuple[tuple[Any, Range], ...]
    frames: tuple[tuple[str, int, str, Any], ...]


class EagerBirths:
    """Looks for the operation behind an eager step that broke."""

    def __init__(self, recorder: Recorder, tapes: Tapes, sources: Sources) -> None:
        self._recorder = recorder
        self._tapes = tapes
        self._sources = sources
        self._searches_left = _MOST_SEARCHES

    def look(self, loss: float | None, gradients: Sequence[Gradient]) -> None:
        """Before the optimizer's call of a step with this loss."""
        if loss is None or math.isfinite(loss) or not self._searches_left:
            return
        self._searches_left -= 1
        started = time.perf_counter()
        with self._recorder.setting_up():
            for calls in {id(g.calls): g.calls for g in gradients}.values():
                found = self._found(calls)
                if found is not None:
                    self._searches_left = 0
                    cost = round(1000 * (time.perf_counter() - started), 1)
                    payload = {"seen_in": "loss", **found, "notes": [], "replay_ms": cost}
                    self._recorder.add_event(EventKind.ORIGIN, payload, severity="error")
                    return

    def _found(self, calls: Calls) -> dict[str, Any] | None:
        for root in calls.roots:
            for name, value in root.inputs:
                if (kind := _kind(value)) is not None:
                    told = "NaN" if kind == "nan" else "infinite"
                    index = np.argwhere(~np.isfinite(np.asarray(value)))[0].tolist()
                    place = {"given": name, "index": index}
                    return {"where": "data", "kind": kind, "what": told, **place}
        layers = [root.layer for root in calls.roots]
        with ExitStack() as stack:
            for aside in (record.stop_recording(), self._tapes.aside(), _as_it_was(layers)):
                stack.enter_context(aside)
            for where, repeat in calls.repeats:
                broken = _watched(repeat)
                if broken is not None:
                    return self._described(where, broken)
        return None

    def _described(self, where: str, broken: _Broken) -> dict[str, Any]:
        chain = [frame[3] for frame in broken.frames if frame[3] is not None]
        layers = list(dict.fromkeys(chain)) if where == "forward" else []
        path = self._tapes.path_of(layers[0], layers[1] if layers[1:] else None) if layers else ""
        told = {
            "where": where,
            "kind": broken.kind,
            "op": op_name(broken),
            "what": what(broken, broken.results[0], broken.operands),
            "module": path,
            "module_type": type(layers[0]).__name__ if layers else "",
            "operands": [operand("", t, r) for t, r in broken.operands if r.low <= r.high],
            "derivative": "",
        }
        mine = next((f for f in broken.frames if is_users(f[0]) and f[3] in (None, *layers)), None)
        if mine is not None and (not layers or mine[3] is not None):
            return {**told, "file": mine[0], "line": mine[1], "function": mine[2]}
        built = self._sources.of(layers[0]) if layers else None
        return {**told, "file": built.file, "line": built.line} if built is not None else told


def _watched(repeat: Callable[[], Any]) -> _Broken | None:
    """The operation at which it broke, if it does."""
    made: dict[int, _Broken] = {}

    def note(
        name: Any, inputs: Any, attrs: Any, outputs: Any, op_name: Any = None, graph: Any = None
    ) -> None:
        kinds = {} if graph is not None else _kinds(outputs)
        if not kinds:
            return
        given = _kinds(inputs)
        operands = tuple((t, as_range(t)) for t in inputs if _is_float(t))
        results = tuple(sorted(outputs, key=lambda t: id(t) not in kinds))
        plain = name.decode() if isinstance(name, bytes) else str(name)
        kind = kinds[id(results[0])]
        one = _Broken(plain, results, kind, given, operands, _frames())
        made.update(dict.fromkeys(kinds, one))

    op_callbacks.add_op_callback(note)
    try:
        results = repeat()
    finally:
        op_callbacks.remove_op_callback(note)
    broken = _kinds(tf.nest.flatten(results))
    starts = [number for number, kind in broken.items() if kind == "nan"]
    made_nan = _first(starts, made, ("nan",))
    if made_nan is not None:
        starts = [number for number, kind in made_nan.given.items() if kind == "inf"]
    made_infinity = _first(starts if made_nan is not None else list(broken), made, ("nan", "inf"))
    return made_infinity or made_nan


def _first(
    starts: Sequence[int], made: Mapping[int, _Broken], bad: Sequence[str]
) -> _Broken | None:
    """The first operation, behind what has these ids, that is bad and is given nothing bad.

    An infinity that the program wrote itself, as in a mask, is no operation's.
    """
    waiting, seen = list(starts), set()
    while waiting:
        number = waiting.pop()
        if number in made and number not in seen:
            seen.add(number)
            waiting += [other for other, kind in made[number].given.items() if kind in bad]
    for number, one in made.items():
        if number in seen and one.operands and not set(one.given.values()) & set(bad):
            return one
    return None


def _frames() -> tuple[tuple[str, int, str, Any], ...]:
    """File, line and function of the callers, with the layer whose method it is."""
    found: list[tuple[str, int, str, Any]] = []
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and len(found) < _FRAMES:
        owner = frame.f_locals.get("self")
        layer = owner if isinstance(owner, keras.layers.Layer) else None
        code = frame.f_code
        found.append((code.co_filename, frame.f_lineno, code.co_name, layer))
        if code is _watched.__code__:
            break
        frame = frame.f_back
    return tuple(found)


def _is_float(tensor: Any) -> bool:
    return isinstance(tensor, tf.Tensor) and tensor.dtype.is_floating


def _kinds(tensors: Sequence[Any]) -> dict[int, str]:
    """Of those that are not finite, by id, how."""
    kinds = {id(tensor): _kind(tensor) for tensor in tensors}
    return {number: kind for number, kind in kinds.items() if kind is not None}


def _kind(value: Any) -> str | None:
    """How a tensor or array is not finite; None where it is."""
    if isinstance(value, np.ndarray):
        value = tf.convert_to_tensor(value)
    if not _is_float(value) or bool(tf.reduce_all(tf.math.is_finite(value))):
        return None
    return "nan" if bool(tf.reduce_any(tf.math.is_nan(value))) else "inf"


@contextmanager
def _as_it_was(layers: Sequence[Any]) -> Iterator[None]:
    """What is drawn, counted and averaged inside is as if it had not been."""
    variables = {id(v): v for layer in layers for v in layer.variables if not v.trainable}
    drawing = global_state.get_global_attribute("global_seed_generator")
    if drawing is not None:
        variables[id(drawing.state)] = drawing.state
    values = {number: tf.identity(v.value) for number, v in variables.items()}
    of_python, of_numpy = random.getstate(), np.random.get_state()
    tensorflow = context.context()
    seeds = getattr(tensorflow, "_rng", None)
    if seeds is not None:  # other seeds: an operation with the same seed goes on with its numbers
        tensorflow._rng = random.Random(0)
    try:
        yield
    finally:
        if seeds is not None:
            tensorflow._rng = seeds
        random.setstate(of_python)
        np.random.set_state(of_numpy)
        for number, variable in variables.items():
            variable.assign(values[number])
