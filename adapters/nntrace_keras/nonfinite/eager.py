"""Finds where a NaN comes from in a step that runs eagerly: the operation and the user's line.

Before the update, models and loss functions are called once more with the same arguments, and every
operation that returns something non-finite is noted. If the loss is finite and the gradients are
not, the derivative that broke is known, and the call of its operation is looked for. Variables that
are not trained and the states of random generators are restored afterwards.
"""

import linecache
import math
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from keras.src.backend.common import global_state
from tensorflow.python.eager import context, record

from nntrace.recorder import Recorder
from nntrace.schema import EventKind
from nntrace_keras.nonfinite.checks import watch_checks
from nntrace_keras.nonfinite.derivatives import Derivative, dense
from nntrace_keras.nonfinite.facts import Range, origin_of
from nntrace_keras.nonfinite.lines import Frames, NextForward, frames, repeated, watched
from nntrace_keras.nonfinite.origins import as_range, op_name, operand, what
from nntrace_keras.patching import Undo, before
from nntrace_keras.program.sources import Sources, caller, is_users
from nntrace_keras.tape.tapes import Tapes
from nntrace_keras.tape.under_tape import Calls, Gradient

_MOST_SEARCHES = 3


@dataclass(frozen=True, slots=True, eq=False)
class _Broken:
    """An operation that returned something non-finite.

    Attributes:
        results: what it returned; the first is not finite.
        kind: what the first holds, "nan" or "inf".
        given: its non-finite operands: id and kind.
        operands: all floating-point operands with their ranges.
        callers: the frames that called it.
    """

    type: str
    results: tuple[Any, ...]
    kind: str
    given: Mapping[int, str]
    operands: tuple[tuple[Any, Range], ...]
    callers: Frames


class EagerOrigins:
    """Looks for the operation that broke an eager step."""

    def __init__(self, recorder: Recorder, tapes: Tapes, sources: Sources) -> None:
        self._recorder = recorder
        self._tapes = tapes
        self._sources = sources
        self._searches_left = _MOST_SEARCHES
        self._next: NextForward | None = None
        self._questions_left = _MOST_SEARCHES
        self._left_out: tuple[Calls, dict[str, Any]] | None = None

    def install(self) -> list[Undo]:
        """Watch what the program reads of its losses."""
        guard = self._recorder.guard
        next_tape = before(tf.GradientTape, "_push_tape", guard(self._next_tape))
        return [*watch_checks(guard(self._search_origin)), next_tape]

    def look(self, loss: float | None, gradients: Sequence[Gradient]) -> None:
        """Before the optimizer's call: search if the step's loss or gradients are not finite."""
        if self._left_out is not None:
            (calls, payload), self._left_out = self._left_out, None
            if self._searches_left and not any(g.calls is calls for g in gradients):
                self._tell(payload, time.perf_counter())
        if loss is None or not self._searches_left:
            return
        broken = next((gradient for gradient in gradients if gradient.broken is not None), None)
        if math.isfinite(loss) and broken is None:
            return
        self._searches_left -= 1
        started = time.perf_counter()
        with self._recorder.setting_up():
            if broken is not None and math.isfinite(loss):
                self._look_behind(broken, started)
                return
            for calls in {id(g.calls): g.calls for g in gradients}.values():
                found = self._found(calls)
                if found is not None:
                    self._tell({"seen_in": "loss", **found}, started)
                    return

    def _search_origin(self) -> None:
        """The program has read a non-finite number, perhaps its loss: search for its origin."""
        calls = self._tapes.undecided
        if calls is None or not (self._questions_left and self._searches_left):
            return
        self._questions_left -= 1
        started = time.perf_counter()
        with self._recorder.setting_up():
            found = self._found(calls)
            if found is not None:
                self._tell({"seen_in": "loss", **found}, started)
                return
        told = {"seen_in": "loss", "where": "unknown", "step": self._recorder.steps}
        self._left_out = (calls, {**told, **caller().place})

    def _next_tape(self, tape: Any) -> None:
        """A tape begins to record: the program may have left out the loss of the one before.

        NumPy reads an eager tensor's memory directly (`np.isnan(loss)`), which cannot be watched.
        """
        calls = self._tapes.left_by(tape)
        if calls is not None and self._questions_left and _kind(calls.loss) is not None:
            self._search_origin()

    def finish(self) -> None:
        """Record what is known when the run ends."""
        if self._next is not None:
            self._next.end()

    def _tell(self, found: Mapping[str, Any], started: float) -> None:
        self._searches_left = 0
        cost = round(1000 * (time.perf_counter() - started), 1)
        payload = {**found, "notes": [], "replay_ms": cost}
        self._recorder.add_event(EventKind.ORIGIN, payload, severity="error")

    def _look_behind(self, gradient: Gradient, started: float) -> None:
        """Record the operation whose derivative broke behind a finite loss, and its line if found.

        Operations between layers can only be seen when the program computes them again.
        """
        assert gradient.broken is not None
        step = self._recorder.steps
        derivative = gradient.broken.derivative
        told = {"seen_in": "gradient", "step": step, **_broken_at(derivative)}
        with self._again(gradient.calls):
            for where, repeat in gradient.calls.repeats:
                callers = repeated(repeat, derivative)
                if callers is not None:
                    self._tell({**told, **self._place(callers, where == "forward")}, started)
                    return
        spent = time.perf_counter() - started

        def tell(callers: Frames | None) -> None:
            place = self._place(callers, is_in_layer=True) if callers is not None else {}
            self._tell({**told, **place}, time.perf_counter() - spent)

        self._next = NextForward(gradient.broken, tell, self._recorder.guard)

    @contextmanager
    def _again(self, calls: Calls) -> Iterator[None]:
        """A context for repeated calls that the program must not notice."""
        layers = [root.layer for root in calls.roots]
        with record.stop_recording(), self._tapes.aside(), _as_it_was(layers):
            yield

    def _found(self, calls: Calls) -> dict[str, Any] | None:
        for root in calls.roots:
            for name, value in root.inputs:
                if (kind := _kind(value)) is not None:
                    told = "NaN" if kind == "nan" else "infinite"
                    index = np.argwhere(~np.isfinite(np.asarray(value)))[0].tolist()
                    place = {"given": name, "index": index}
                    return {"where": "data", "kind": kind, "what": told, **place}
        with self._again(calls):
            for where, repeat in calls.repeats:
                broken = _watched(repeat)
                if broken is not None:
                    return self._described(where, broken)
        return None

    def _described(self, where: str, broken: _Broken) -> dict[str, Any]:
        return {
            "where": where,
            "kind": broken.kind,
            "op": op_name(broken),
            "what": what(broken, broken.results[0], broken.operands),
            "operands": [operand("", t, r) for t, r in broken.operands if r.low <= r.high],
            "derivative": "",
            **self._place(broken.callers, is_in_layer=where == "forward"),
        }

    def _place(self, callers: Frames, is_in_layer: bool) -> dict[str, Any]:
        """The layer and the user's line; for one of Keras' own layers, the line that built it."""
        chain = [caller.layer for caller in callers if caller.layer is not None]
        layers = list(dict.fromkeys(chain)) if is_in_layer else []
        told = {"module": "", "module_type": ""}
        if layers:
            path = self._tapes.path_of(layers[0], layers[1] if layers[1:] else None)
            told = {"module": path, "module_type": type(layers[0]).__name__}
        mine = next((c for c in callers if is_users(c.file) and c.layer in (None, *layers)), None)
        if mine is not None and (not layers or mine.layer is not None):
            source = linecache.getline(mine.file, mine.line).strip()
            line = {"file": mine.file, "line": mine.line, "source": source}
            return {**told, **line, "function": mine.function}
        built = self._sources.of(layers[0]) if layers else None
        return {**told, **built.place} if built is not None else told


def _broken_at(derivative: Derivative) -> dict[str, Any]:
    """The payload of an origin event for an operation whose derivative broke."""
    broken = next(kind for g in derivative.given if (kind := _kind(dense(g))) is not None)
    known = [t for t in derivative.inputs if _is_float(t)] or list(derivative.outputs)
    operands = [(t, as_range(t)) for t in known if _is_float(t)]
    name = op_name(derivative)
    return {
        "where": "backward",
        "kind": broken,
        "op": name,
        "what": what(derivative, derivative.outputs[0], operands),
        "operands": [operand("", t, r) for t, r in operands if r.low <= r.high],
        "derivative": name,
    }


def _watched(repeat: Callable[[], Any]) -> _Broken | None:
    """Repeat a call and return the operation that broke it, if one does."""
    made: dict[int, _Broken] = {}

    def note(name: str, inputs: Any, outputs: Any) -> None:
        kinds = _kinds(outputs)
        if not kinds:
            return
        given = _kinds(inputs)
        operands = tuple((t, as_range(t)) for t in inputs if _is_float(t))
        results = tuple(sorted(outputs, key=lambda t: id(t) not in kinds))
        kind = kinds[id(results[0])]
        one = _Broken(name, results, kind, given, operands, frames(_watched.__code__))
        made.update(dict.fromkeys(kinds, one))

    with watched(note):
        results = repeat()
    return origin_of(_kinds(tf.nest.flatten(results)), made)


def _is_float(tensor: Any) -> bool:
    return isinstance(tensor, tf.Tensor) and tensor.dtype.is_floating


def _kinds(tensors: Sequence[Any]) -> dict[int, str]:
    """The kinds of the non-finite tensors, by id."""
    kinds = {id(tensor): _kind(tensor) for tensor in tensors}
    return {number: kind for number, kind in kinds.items() if kind is not None}


def _kind(value: Any) -> str | None:
    """In what way a tensor or array is not finite, "nan" or "inf"; None if it is finite."""
    if isinstance(value, np.ndarray):
        value = tf.convert_to_tensor(value)
    if not _is_float(value) or bool(tf.reduce_all(tf.math.is_finite(value))):
        return None
    return "nan" if bool(tf.reduce_any(tf.math.is_nan(value))) else "inf"


@contextmanager
def _as_it_was(layers: Sequence[Any]) -> Iterator[None]:
    """Restore random states, counters and running averages that change inside."""
    variables = {id(v): v for layer in layers for v in layer.variables if not v.trainable}
    drawing = global_state.get_global_attribute("global_seed_generator")
    if drawing is not None:
        variables[id(drawing.state)] = drawing.state
    values = {number: tf.identity(v.value) for number, v in variables.items()}
    of_python, of_numpy = random.getstate(), np.random.get_state()
    tensorflow = context.context()
    seeds = getattr(tensorflow, "_rng", None)
    if seeds is not None:  # other seeds: an operation with the same seed would continue its stream
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
