"""What a training graph shows of the program: data flow, objective, norms called twice."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
from tensorflow.python.framework import ops

from nntrace.adapter.objective import objective_payload
from nntrace.recorder import Recorder
from nntrace.schema import EventKind
from nntrace_keras.graphs.dataflow import DataFlow
from nntrace_keras.graphs.dependence import Dependence
from nntrace_keras.graphs.loose import loose_variables
from nntrace_keras.graphs.weights import over_another_axis
from nntrace_keras.nonfinite.origins import line_of, span_of
from nntrace_keras.program import objective
from nntrace_keras.program.objective import Term
from nntrace_keras.program.sources import Sources, caller
from nntrace_keras.samples.capture import Capture
from nntrace_keras.tape.under_tape import Gradient, LayerCall, Span

_MOST_OPERATIONS = 40_000


class Structure:
    """Reads each graph once, where its optimizer is called, and records what is new."""

    def __init__(self, recorder: Recorder, sources: Sources) -> None:
        self._recorder = recorder
        self._sources = sources
        self._flow = DataFlow(recorder)
        self._announced: set[tuple[str, ...]] = set()
        self._reused: set[str] = set()
        self._told_broadcast = False
        self._told_loose = False
        self._told_unpenalised = False
        self._told_axes: set[tuple[str, str | None, int | None]] = set()

    def note_reuse(self, gradients: Sequence[Gradient]) -> None:
        """Record batch norms that were called several times within one forward."""
        for path, kind in (item for g in gradients for item in g.calls.reused.items()):
            if path not in self._reused:
                self._reused.add(path)
                payload = {"path": path, "module_type": kind}
                self._recorder.add_event(EventKind.REUSED, payload)

    def read(
        self, capture: Capture, gradients: Sequence[Gradient], calls: Sequence[tuple[str, Any]]
    ) -> list[Term] | None:
        """The terms of the loss that is differentiated; None eagerly or if the graph is too large.

        Args:
            capture: receives the scalars that measure clamped terms.
            gradients: those that the optimizer takes.
            calls: names of loss functions and what they returned.
        """
        graph = None if tf.executing_eagerly() else ops.get_default_graph()
        targets = [t for g in gradients for t in g.targets if getattr(t, "graph", None) is graph]
        if graph is None:
            self._note_broadcast(gradients)
        if graph is None or not targets or graph.num_operations() > _MOST_OPERATIONS:
            return None
        depends = Dependence(graph, [s for g in gradients for s in g.sources])
        spans = [s for g in gradients for s in g.calls.spans if s.graph is graph]
        self._flow.read(depends, targets, sorted(set(spans), key=lambda span: span.start))
        self._note_axes(depends, targets, spans)
        if not self._told_loose:
            self._note_loose(list(loose_variables(graph, gradients, targets)))
        scalars = [target for target in targets if target.shape.rank == 0]
        if len(scalars) != 1:
            return None
        found = objective.terms(depends, scalars[0], calls)
        clamps = [c for term in found if (c := objective.clamp(depends, term)) is not None]
        for number, clamp in enumerate(clamps):
            capture.add_scalar(f"clamped.{number}", clamp.values, clamp.share)
        pairs = (shapes for term in found if (shapes := objective.broadcast(depends, term)))
        self._announce(found, is_clamped=bool(clamps), shapes=next(pairs, None))
        if found and all(term.is_call for term in found):
            self._note_unpenalised(gradients)
        return found

    def _note_axes(
        self, depends: Dependence, targets: Sequence[Any], spans: Sequence[Span]
    ) -> None:
        """Record weights that a softmax made over another axis than they are summed over."""
        for found in over_another_axis(depends, targets, _sizes_of_batches(depends.operations)):
            line = line_of(found.operation, span_of(found.operation, spans), self._sources)
            key = (found.what, line.get("file"), line.get("line"))
            if key in self._told_axes:
                continue
            self._told_axes.add(key)
            payload = {
                "what": found.what,
                "shape": [-1 if size is None else size for size in found.shape],
                "axis": found.axis,
                "right": found.right,
                "result": [],
                "file": line.get("file"),
                "line": line.get("line"),
            }
            self._recorder.add_event(EventKind.AXES, payload, severity="warning")

    def _note_loose(self, found: Sequence[tuple[LayerCall, str]]) -> None:
        """Record variables that gradients would reach and that are no weights of any layer."""
        if not found:
            return
        self._told_loose = True
        layer = found[0][0].layer
        payload = {
            "tensors": list(dict.fromkeys(f"{call.path}/{name}" for call, name in found)),
            "class": type(layer).__name__,
            **self._sources.of(layer).place,
        }
        self._recorder.add_event(EventKind.LOOSE, payload, severity="warning")

    def _note_unpenalised(self, gradients: Sequence[Gradient]) -> None:
        """Record variables that declare a penalty, where loss functions are all that is added."""
        variables = (source for gradient in gradients for source in gradient.sources)
        paths = [v.path for v in variables if getattr(v, "regularizer", None) is not None]
        if paths and not self._told_unpenalised:
            self._told_unpenalised = True
            payload = {"penalties": paths, **caller().place}
            self._recorder.add_event(EventKind.LEFT_OUT, payload, severity="warning")

    def _note_broadcast(self, gradients: Sequence[Gradient]) -> None:
        """Record that predictions are compared with all targets; needs no graph."""
        shapes = next((g.broadcast for g in gradients if g.broadcast), None)
        if shapes is not None and not self._told_broadcast:
            self._told_broadcast = True
            self._tell((), is_clamped=False, shapes=shapes)

    def _announce(
        self,
        found: Sequence[Term],
        *,
        is_clamped: bool,
        shapes: tuple[objective.Shape, objective.Shape] | None,
    ) -> None:
        names = tuple(term.name for term in found)
        if not names or names in self._announced:
            return
        self._announced.add(names)
        self._tell(found, is_clamped=is_clamped, shapes=shapes)

    def _tell(
        self,
        found: Sequence[Term],
        *,
        is_clamped: bool,
        shapes: tuple[objective.Shape, objective.Shape] | None,
    ) -> None:
        payload = objective_payload(
            [(term.name, term.weight) for term in found],
            caller(),
            is_clamped=is_clamped,
            broadcast=shapes,
        )
        self._recorder.add_event(EventKind.OBJECTIVE, payload)


def _sizes_of_batches(operations: Sequence[Any]) -> set[int | None]:
    """The sizes of the first axes of what enters a graph; None stands for one that varies."""
    entered = (o.outputs for o in operations if o.type in ("Placeholder", "IteratorGetNext"))
    shapes = [tensor.shape for outputs in entered for tensor in outputs]
    return {None, *(shape[0] for shape in shapes if shape.rank)}
