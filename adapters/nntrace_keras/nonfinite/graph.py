"""Records, once per run, where a training graph's first non-finite loss or gradient came from."""

import contextlib
import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from tensorflow.python.eager import record

from nntrace.recorder import Recorder
from nntrace.schema import EventKind, Role
from nntrace_keras.graphs.board import Row
from nntrace_keras.graphs.kept import Moment
from nntrace_keras.graphs.second import CannotComputeError
from nntrace_keras.nonfinite.derivatives import dense
from nntrace_keras.nonfinite.facts import Range
from nntrace_keras.nonfinite.origins import computes, described, is_call, likely_origins
from nntrace_keras.nonfinite.retrace import look_back
from nntrace_keras.program.sources import Sources
from nntrace_keras.samples.calls import Step
from nntrace_keras.samples.layouts import Values

_MOST_SEARCHES = 3
# To hold weights costs a read of each variable, and a copy of it at its next update.
_HELD_EVERY = 32  # steps
_RISES = 4.0  # times its usual size: from there on a loss may break at the next step
_MEMORY = 0.9  # the weight of the old value in the running mean of the size, per step


@dataclass(slots=True)
class _Watch:
    """The search's state for one graph, in numbers of steps.

    Its weights were `held` the last time, `held_before` the time before, and are `wanted` again
    from that step on; `usual` is a running mean of the loss's size.
    """

    held: int
    held_before: int = 0
    wanted: int = 0
    usual: float = math.inf
    rises: bool = False

    def see(self, loss: float) -> None:
        self.rises = not abs(loss) <= _RISES * self.usual
        known = self.usual if math.isfinite(self.usual) else abs(loss)
        self.usual = _MEMORY * known + (1 - _MEMORY) * abs(loss)


class _Before(NamedTuple):
    """The step before: its graph, its number, and its batch if the host knows it."""

    graph: int
    step: int
    arguments: Sequence[Any] | None


class GraphOrigins:
    """Looks for the operation that broke a step of a graph."""

    def __init__(self, recorder: Recorder, sources: Sources) -> None:
        self._recorder = recorder
        self._sources = sources
        self._searches_left = _MOST_SEARCHES
        self._watches: dict[int, _Watch] = {}  # by the number of the graph
        self._before: _Before | None = None

    @property
    def is_alarmed(self) -> bool:
        """Whether the loss of a graph has risen so far that it may break at the next step."""
        return bool(self._searches_left) and any(w.rises for w in self._watches.values())

    def room(self, graphs: Iterable[int]) -> int:
        """How many steps may pass before weights must be held for one of these graphs.

        Graphs whose weights are due at the very next step do not count: a call begins with holding
        them.
        """
        watches = [w for graph in graphs if (w := self._watches.get(graph)) is not None]
        left = [watch.wanted - self._recorder.steps for watch in watches]
        return min((steps for steps in left if steps > 0), default=_HELD_EVERY)

    def wants_weights(self, graph: int) -> bool:
        """Whether to hold the weights before the next step, if that is not sampled."""
        watch = self._watches.get(graph)
        if not self._searches_left or watch is None:
            return False
        if watch.rises or self._recorder.steps >= watch.wanted:
            watch.wanted = self._recorder.steps + _HELD_EVERY
            return True
        return False

    def have_weights(self, graph: int) -> None:
        """Note that the weights were held before the next step."""
        watch = self._watches.setdefault(graph, _Watch(0))
        watch.held_before, watch.held = watch.held, self._recorder.steps
        watch.wanted = watch.held + _HELD_EVERY

    def look(
        self,
        step: Step,
        row: Row,
        arguments: Sequence[Any] | None,
        vector: Values | None = None,
        *,
        has_batch: bool = True,
        followed: int = 0,
    ) -> None:
        """After a step: search if it broke, else note what the next search may need.

        `vector` is the step's sample, if it was sampled; `followed` later steps of its graph have
        run.

        A search behind an unsampled step starts from the variables as they were last held, and
        needs the batch: from the host that called the graph, or from the graph, which kept it. If
        it finds nothing, the step before is searched, whose gradients may have broken behind a
        finite loss.
        """
        if step.second is None:
            return
        if vector is not None:
            self.have_weights(row.graph)
        if self._searches_left and row.applied and _has_broken(step, row, vector):
            if vector is None and not has_batch:
                self._searches_left = 0  # the batch is gone, and the weights are broken
                return
            with record.stop_recording(), self._recorder.setting_up():
                self._search(step, row, arguments, followed, is_sampled=vector is not None)
            return
        if row.loss is not None and row.graph in self._watches:
            self._watches[row.graph].see(row.loss)
        if step.second.held is not None:
            step.second.held.earlier = {}
        self._before = _Before(row.graph, self._recorder.steps, _without_variables(arguments))

    def passed(
        self, step: Step, graph: int, losses: Iterable[float], arguments: Sequence[Any] | None
    ) -> None:
        """Note steps in which nothing broke; `arguments` are those of the last one."""
        if step.second is None:
            return
        if (watch := self._watches.get(graph)) is not None:
            for loss in losses:
                watch.see(loss)
        if step.second.held is not None:
            step.second.held.earlier = {}
        self._before = _Before(graph, self._recorder.steps - 1, _without_variables(arguments))

    def _search(
        self,
        step: Step,
        row: Row,
        arguments: Sequence[Any] | None,
        followed: int,
        *,
        is_sampled: bool,
    ) -> None:
        assert step.second is not None
        held, watch, before = step.second.held, self._watches.get(row.graph), self._before
        if held is None or watch is None:
            return
        self._searches_left -= 1
        started = time.perf_counter()
        now = self._recorder.steps
        tries = [(now, arguments, Moment.SAMPLED if is_sampled else Moment.LAST, held.values)]
        if before is not None and before.graph == row.graph:
            # Weights held before the step that shows the break are those that the step before has
            # broken.
            weights = held.earlier if watch.held == now else held.values
            tries.append((before.step, before.arguments, Moment.PREVIOUS, weights))
        with contextlib.suppress(CannotComputeError):
            look = look_back(step.second, step.losses, is_called=arguments is not None)
            for number, given, moment, weights in tries:
                found = self._found(step, look(given, moment, followed, weights))
                if found is None:
                    continue
                self._searches_left = 0
                ago = number - (watch.held if weights is held.values else watch.held_before)
                of = "one step" if ago == 1 else f"{ago} steps"
                notes = [f"computed with the weights of {of} before"] if ago else []
                cost = round(1000 * (time.perf_counter() - started), 1)
                payload = {**found, "step": number, "notes": notes, "replay_ms": cost}
                self._recorder.add_event(EventKind.ORIGIN, payload, severity="error")
                return

    def _found(self, step: Step, known: dict[str, Range]) -> dict[str, Any] | None:
        losses = [loss for loss in step.losses if _is_bad(loss, known)]
        gradients = {
            stepped.param.path: tensor
            for stepped in step.updates
            if _is_bad(tensor := dense(stepped.gradient), known)
        }
        broken = losses or list(gradients.values())
        found: dict[str, Any] = {"seen_in": "loss" if losses else "gradient"}
        if not losses:
            found["parameters"] = list(gradients)[:8]
        for operation in likely_origins(broken, known):
            came_with_batch = is_call(operation) and _given(step, operation, known)
            if came_with_batch:  # what the call does with the batch cannot be seen
                return {**found, **came_with_batch}
            if computes(operation):
                return {**found, **described(operation, known, step.spans, self._sources)}
            given = _given(step, operation, known)
            if given is not None:
                return {**found, **given}
        return None


def _given(step: Step, operation: Any, known: dict[str, Range]) -> dict[str, Any] | None:
    """The payload for a value that came with the batch; None if it came with broken weights."""
    assert step.second is not None
    bad = [known[t.name] for t in operation.outputs if _is_bad(t, known)]
    for site, tensor in step.second.capture.planned():
        if site.role in (Role.INPUT, Role.TARGET) and _is_bad(tensor, known):
            bad = [known[tensor.name]] if is_call(operation) else bad
            kind = "nan" if any(found.nan for found in bad) else "inf"
            what = "NaN" if kind == "nan" else "infinite"
            told = {"where": "data", "kind": kind, "given": site.path, "what": what}
            return {**told, **_index(tensor, known[tensor.name].first)}
    return None


def _index(tensor: Any, place: int) -> dict[str, list[int]]:
    """The index in a batch of an element given by its place in the flattened tensor."""
    sizes = tensor.shape.as_list()[1:] if tensor.shape.rank else [None]
    if None in sizes:
        return {}
    return {"index": [int(n) for n in np.unravel_index(place, (place + 1, *sizes))]}


def _has_broken(step: Step, row: Row, vector: Values | None) -> bool:
    if row.loss is not None and not math.isfinite(row.loss):
        return True
    return vector is not None and any(
        part.site is not None
        and part.site.role is Role.PARAM_GRAD
        and not np.isfinite(vector[part.offset : part.offset + part.plan.size]).all()
        for part in step.layouts.parts
    )


def _without_variables(arguments: Sequence[Any] | None) -> Sequence[Any] | None:
    """Drop variables: they must not live longer than the program wants."""
    if arguments is None:
        return None
    return [None if tensor.dtype == tf.resource else tensor for tensor in arguments]


def _is_bad(tensor: Any, known: dict[str, Range]) -> bool:
    name = getattr(tensor, "name", None)
    return name in known and not known[name].is_finite
