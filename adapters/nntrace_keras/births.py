"""Records, once per run, where a training graph's first non-finite loss or gradient came from."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.eager import record

from nntrace.recorder import Recorder
from nntrace.schema import EventKind, Role
from nntrace_keras.board import Row
from nntrace_keras.calls import Step
from nntrace_keras.capture import Values
from nntrace_keras.origins import Range, births, computes, described
from nntrace_keras.retrace import trace_back
from nntrace_keras.second import CannotComputeError
from nntrace_keras.sources import Sources

_MOST_SEARCHES = 3
# To hold weights costs a read of each variable, and a copy of it at its next update.
_HELD_EVERY = 16  # steps
_RISES = 4.0  # times its usual size: a loss that may break at the next step
_MEMORY = 0.9  # of the usual size, per step


@dataclass(slots=True)
class _Watch:
    """What is known of the steps of one graph: when its weights were held, the size of its loss."""

    held: int
    usual: float = math.inf
    rises: bool = False

    def see(self, loss: float) -> None:
        self.rises = not abs(loss) <= _RISES * self.usual
        known = self.usual if math.isfinite(self.usual) else abs(loss)
        self.usual = _MEMORY * known + (1 - _MEMORY) * abs(loss)


class Births:
    """Looks for the operation behind a step that broke."""

    def __init__(self, recorder: Recorder, sources: Sources) -> None:
        self._recorder = recorder
        self._sources = sources
        self._searches_left = _MOST_SEARCHES
        self._watches: dict[int, _Watch] = {}  # by the number of the graph

    def wants_weights(self, graph: int) -> bool:
        """Whether to hold the weights before the next step, which is not sampled."""
        watch = self._watches.get(graph)
        if not self._searches_left or watch is None:
            return False
        return watch.rises or self._recorder.steps - watch.held >= _HELD_EVERY

    def have_weights(self, graph: int) -> None:
        """The weights were held before the step that comes next."""
        self._watches.setdefault(graph, _Watch(0)).held = self._recorder.steps

    def look(
        self,
        step: Step,
        row: Row,
        arguments: Sequence[Any] | None,
        vector: Values | None = None,
        *,
        has_batch: bool = True,
    ) -> None:
        """After a step; `vector` is its sample, if it was sampled.

        The search behind one that was not starts from the variables as they were when last held,
        and needs its batch: from the host that called it, or from its graph, which kept it.
        """
        if vector is not None:
            self.have_weights(row.graph)
        if self._searches_left and row.applied and _has_broken(step, row, vector):
            if vector is None and not has_batch:
                self._searches_left = 0  # the batch is gone, and the weights are spoilt
                return
            with record.stop_recording(), self._recorder.setting_up():
                self._search(step, row, arguments, last=vector is None)
        elif row.loss is not None and row.graph in self._watches:
            self._watches[row.graph].see(row.loss)

    def _search(self, step: Step, row: Row, arguments: Sequence[Any] | None, *, last: bool) -> None:
        if step.second is None:
            return
        self._searches_left -= 1
        started = time.perf_counter()
        try:
            known = trace_back(step.second, step.losses, arguments, last=last)
            found = self._found(step, known)
        except CannotComputeError:
            return
        if found is not None:
            self._searches_left = 0
            watch = self._watches.get(row.graph)
            ago = self._recorder.steps - watch.held if watch is not None else 0
            of = "one step" if ago == 1 else f"{ago} steps"
            notes = [f"computed with the weights of {of} before"] if ago else []
            cost = round(1000 * (time.perf_counter() - started), 1)
            payload = {**found, "notes": notes, "replay_ms": cost}
            self._recorder.add_event(EventKind.ORIGIN, payload, severity="error")

    def _found(self, step: Step, known: dict[str, Range]) -> dict[str, Any] | None:
        losses = [loss for loss in step.losses if _is_bad(loss, known)]
        gradients = {
            stepped.param.path: tensor
            for stepped in step.updates
            if _is_bad(tensor := _dense(stepped.gradient), known)
        }
        broken = losses or list(gradients.values())
        found: dict[str, Any] = {"seen_in": "loss" if losses else "gradient"}
        if not losses:
            found["parameters"] = list(gradients)[:8]
        for operation in births(broken, known):
            if computes(operation):
                return {**found, **described(operation, known, step.spans, self._sources)}
            given = _given(step, operation, known)
            if given is not None:
                return {**found, **given}
        return None


def _given(step: Step, operation: Any, known: dict[str, Range]) -> dict[str, Any] | None:
    """The payload for what is no operation's fault: it came with the batch. None where it came
    with weights that an earlier step has spoilt.
    """
    assert step.second is not None
    bad = [known[t.name] for t in operation.outputs if _is_bad(t, known)]
    kind = "nan" if any(found.nan for found in bad) else "inf"
    for site, tensor in step.second.capture.planned():
        if site.role in (Role.INPUT, Role.TARGET) and _is_bad(tensor, known):
            what = "NaN" if kind == "nan" else "infinite"
            return {"where": "data", "kind": kind, "given": site.path, "what": what}
    return None


def _has_broken(step: Step, row: Row, vector: Values | None) -> bool:
    if row.loss is not None and not math.isfinite(row.loss):
        return True
    return vector is not None and any(
        part.site is not None
        and part.site.role is Role.PARAM_GRAD
        and not np.isfinite(vector[part.offset : part.offset + part.plan.size]).all()
        for part in step.layouts.parts
    )


def _dense(gradient: Any) -> Any:
    return gradient.values if isinstance(gradient, tf.IndexedSlices) else gradient


def _is_bad(tensor: Any, known: dict[str, Range]) -> bool:
    name = getattr(tensor, "name", None)
    return name in known and not known[name].is_finite
