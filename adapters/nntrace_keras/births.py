"""Records, once per run, where a training graph's first non-finite loss or gradient came from."""

import math
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.eager import record

from nntrace.recorder import Recorder
from nntrace.schema import EventKind, Role
from nntrace_keras.board import Row
from nntrace_keras.calls import Step
from nntrace_keras.capture import Values
from nntrace_keras.origins import Range, birth, described
from nntrace_keras.second import CannotComputeError
from nntrace_keras.sources import Sources

_MOST_SEARCHES = 3


class Births:
    """Looks for the operation behind a step that broke."""

    def __init__(self, recorder: Recorder, sources: Sources) -> None:
        self._recorder = recorder
        self._sources = sources
        self._searches_left = _MOST_SEARCHES
        self._sampled: dict[int, int] = {}  # by step: the number of its last sample

    def look(
        self,
        step: Step,
        row: Row,
        arguments: Sequence[Any] | None,
        vector: Values | None = None,
    ) -> None:
        """After a step; `vector` is its sample, if it was sampled.

        The search behind one that was not starts from the variables as they were before the last
        one that was, and needs the batch from the host.
        """
        if vector is not None:
            self._sampled[row.graph] = self._recorder.steps
        if self._searches_left and row.applied and _has_broken(step, row, vector):
            if vector is None and arguments is None:
                self._searches_left = 0  # the batch is gone, and the weights are spoilt
                return
            with record.stop_recording(), self._recorder.setting_up():
                self._search(step, row, arguments)

    def _search(self, step: Step, row: Row, arguments: Sequence[Any] | None) -> None:
        if step.second is None:
            return
        self._searches_left -= 1
        started = time.perf_counter()
        try:
            found = self._found(step, step.second.trace_back(step.losses, arguments))
        except CannotComputeError:
            return
        if found is not None:
            self._searches_left = 0
            ago = self._recorder.steps - self._sampled.get(row.graph, self._recorder.steps)
            notes = [f"computed with the weights of {ago} steps before"] if ago else []
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
        operation = birth(broken, known)
        if operation is None:
            return None
        seen_in = "loss" if losses else "gradient"
        found: dict[str, Any] = {"seen_in": seen_in}
        if not losses:
            found["parameters"] = list(gradients)[:8]
        if not any(tensor.dtype.is_floating for tensor in operation.inputs):
            given = _given(step, operation, known)
            return {**found, **given} if given is not None else None
        return {**found, **described(operation, known, step.spans, self._sources)}


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
