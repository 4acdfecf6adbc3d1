"""Follows the training from optimizer call to optimizer call, inside graphs and eagerly.

In a graph the call writes one row of plain facts, and where it is to be sampled a vector of
sampled elements; both are read after the function that holds the graph has run. A step ends when
an optimizer has changed its variables.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import keras
import tensorflow as tf
from tensorflow.python.eager import context, record
from tensorflow.python.eager.polymorphic_function.concrete_function import ConcreteFunction
from tensorflow.python.framework import ops

from nntrace.recorder import KeptTensor, Recorder, Sample
from nntrace.schema import EventKind
from nntrace_keras.board import Board, Row
from nntrace_keras.calls import Delivery, EagerCall, GraphCall, Step
from nntrace_keras.keepsakes import KeptFilters
from nntrace_keras.names import Names
from nntrace_keras.observation import Observer, batch_sample
from nntrace_keras.optimizers import Optimizers
from nntrace_keras.patching import Undo, after, wrap
from nntrace_keras.returned import watch_tracing
from nntrace_keras.saving import watch_saving
from nntrace_keras.second import CannotComputeError, Second
from nntrace_keras.sites import Sites
from nntrace_keras.sources import Sources
from nntrace_keras.tapes import Tapes

_MAX_TURNS = 4


@dataclass(slots=True)
class _Pending:
    """Micro-batches of a step that has not ended."""

    losses: list[float] = field(default_factory=list)
    examples: int = 0


class _Local(threading.local):
    depth = 0


class Training:
    """Hooks the optimizers and the functions that hold training graphs."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self.sources = Sources(recorder)
        names = Names()
        self.tapes = Tapes(recorder.guard, names.layer, lambda: self.samples_eagerly)
        self.observer = Observer(recorder, names, self.sources)
        self._optimizers = Optimizers(recorder, self.sources)
        self._sites = Sites(recorder)
        self._board: Board | None = None
        self._graphs: list[Step] = []
        self._expected: list[Second] = []
        self._pending: dict[str, _Pending] = {}
        self._local = _Local()
        self.turn = 0
        self.samples_eagerly = True
        self._turns_left = 0
        self._has_batch = False
        self._filters = KeptFilters()
        self.saw_gradient = False

    def install(self) -> list[Undo]:
        """Put on everything that stays for the whole run."""
        guard = self._recorder.guard
        self._begin = guard(self._begins)
        self._end = guard(self._ends)
        self._keep = guard(self._function_is_inside)
        self._expect = guard(self._function_will_run)
        self._poll = guard(self._functions_ran)
        note_scaled = guard(self._scaled)
        scale_optimizer = keras.optimizers.LossScaleOptimizer
        return [
            *self.sources.install(),
            *self.tapes.install(),
            wrap(keras.optimizers.Optimizer, "apply", self._around_apply),
            wrap(scale_optimizer, "apply", self._around_apply),
            after(keras.optimizers.Optimizer, "scale_loss", note_scaled),
            after(scale_optimizer, "scale_loss", note_scaled),
            wrap(ConcreteFunction, "_call_flat", self._around_function),
            watch_tracing(self._recorder),
            watch_saving(self._trains, self.tapes.unobserved),
        ]

    def _scaled(self, scaled: Any, optimizer: Any, loss: Any) -> None:
        if scaled is not loss:
            self.tapes.note_scaled(scaled, loss)

    # Optimizer calls.

    def _around_apply(self, original: Callable[..., Any]) -> Callable[..., Any]:
        local = self._local

        def apply(optimizer: Any, grads: Any, trainable_variables: Any = None) -> Any:
            if local.depth or not self._recorder.active or self.tapes.is_unobserved:
                return original(optimizer, grads, trainable_variables)
            grads = list(grads)
            if trainable_variables is not None:
                trainable_variables = list(trainable_variables)
            local.depth += 1
            try:
                begun = self._begin(optimizer, grads, trainable_variables)
                result = original(optimizer, grads, trainable_variables)
                if begun is not None:
                    self._end(begun)
            finally:
                local.depth -= 1
            return result

        return apply

    def _begins(
        self, optimizer: Any, grads: list[Any], variables: list[Any] | None
    ) -> EagerCall | GraphCall | None:
        if variables is None:
            variables = list(optimizer._trainable_variables)
        gradients = self.tapes.take(variables)
        self.saw_gradient = self.saw_gradient or bool(gradients)
        if not grads or _replica() != 0:
            return None
        self._recorder.open()  # what tracing adds to building the graph belongs to the run
        pairs = list(zip(grads, variables, strict=False))
        name = self._optimizers.name(optimizer, len(pairs))
        with record.stop_recording():
            if tf.executing_eagerly():
                turn = self.turn if self.samples_eagerly else None
                return EagerCall(
                    self.observer, optimizer, name, pairs, gradients, turn,
                    is_first=not self._has_batch,
                )  # fmt: skip
            if not getattr(ops.get_default_graph(), "building_function", False):
                return None
            number = len(self._graphs)
            with tf.name_scope("nntrace"):
                call = GraphCall(
                    self.observer, self._use_board(), number, optimizer, name, pairs, gradients,
                    is_first=not self._has_batch,
                )  # fmt: skip
            self._graphs.append(call.step)
            _note_step(ops.get_default_graph(), number)
            return call

    def _ends(self, begun: EagerCall | GraphCall) -> None:
        with record.stop_recording():
            if isinstance(begun, GraphCall):
                with tf.name_scope("nntrace"):
                    begun.end()
                return
            row = begun.end()
            delivery = begun.delivery
        if self._finish(begun.step, row, delivery, at_once=False):
            self._arm()
        elif row.applied:
            self.samples_eagerly = False

    # What happened.

    def _around_function(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def _call_flat(function: Any, tensor_inputs: Any, captured_inputs: Any) -> Any:
            if not self._trains(function):
                return original(function, tensor_inputs, captured_inputs)
            inputs = [*tensor_inputs, *captured_inputs]
            if not context.executing_eagerly():
                self._keep(function, inputs)
                return original(function, tensor_inputs, captured_inputs)
            self._expect(function)
            result = original(function, tensor_inputs, captured_inputs)
            self._poll(function, result, inputs)
            return result

        return _call_flat

    def _trains(self, function: Any) -> bool:
        """Whether a step of ours is in the function, or in one that it calls."""
        known = function.__dict__.get("_nntrace_trains")
        if known is None:
            if self._board is None:
                return False
            handle = self._board.variable.handle
            known = any(captured is handle for captured in function.captured_inputs)
            function.__dict__["_nntrace_trains"] = known
        return bool(known)

    def _function_is_inside(self, function: Any, inputs: list[Any]) -> None:
        """A function that trains is called by a graph: let that keep the step's inputs."""
        graph: Any = ops.get_default_graph()
        if self.tapes.is_unobserved or not getattr(graph, "building_function", False):
            return
        is_nested = bool(getattr(graph.outer_graph, "building_function", False))
        for number in _steps_in(function.graph):
            _note_step(graph, number)
            second = self._graphs[number].second
            if second is None or second.graph is not function.graph:
                continue
            if is_nested:
                second.with_update = True
            kept = _list_on(graph, "_nntrace_keeps")
            if second.keeps_inputs or (number in kept and not is_nested):
                continue  # the first of several calls in a function is the one that is sampled
            kept.append(number)
            with record.stop_recording(), tf.name_scope("nntrace"):
                board = self._use_board()
                wanted = Board.wants(board.read(), number) if is_nested else None
                second.keep(
                    {
                        inside.name: tensor
                        for inside, tensor in zip(function.graph.inputs, inputs, strict=True)
                        if isinstance(tensor, ops.SymbolicTensor)
                    },
                    wanted,
                )

    def _function_will_run(self, function: Any) -> None:
        """Prepare the samples of the steps that it makes."""
        assert self._board is not None
        for number in _steps_in(function.graph):
            step = self._graphs[number]
            if step.second is None or not self._board.expects(number):
                continue
            try:
                step.second.begins(is_called=step.second.graph is function.graph)
                step.layouts = step.second.layouts or step.layouts
            except CannotComputeError as error:
                self._give_up(step, error)
            else:
                self._expected.append(step.second)

    def _give_up(self, step: Step, error: CannotComputeError) -> None:
        step.second = None
        what = f"activations, parameters and gradients of {step.optimizer}'s steps in a graph"
        self._recorder.add_event(EventKind.UNSEEN, {"what": what, "reason": str(error)})

    def _functions_ran(self, function: Any, result: Any, inputs: list[Any]) -> None:
        """Record the steps that graphs have made since the last look."""
        assert self._board is not None
        rows, sampled, lost = self._board.news()
        if lost:
            reason = f"a single call of a function made {lost + len(rows)} optimizer steps"
            self._recorder.add_event(EventKind.UNSEEN, {"what": f"{lost} steps", "reason": reason})
        wants = False
        for row in rows:
            step = self._graphs[row.graph]
            if row.loss is None and step.returned is not None:
                row = replace(row, loss=step.returned.read(function, result))
            delivery = None
            if row.number in sampled and step.second in self._expected:
                is_alone = sum(other.graph == row.graph for other in rows) == 1
                is_called = step.second.graph is function.graph
                delivery = self._deliver(step, row, inputs if is_called else None, is_alone)
                wants = wants or delivery is None
            wants = self._finish(step, row, delivery, at_once=True) or wants
        for second in self._expected:
            second.forget()
        self._expected.clear()
        if wants:
            self._arm()
            self._board.arm(self.turn)
        else:
            self.samples_eagerly = False

    def _deliver(
        self, step: Step, row: Row, arguments: list[Any] | None, is_alone: bool
    ) -> Delivery | None:
        """The samples of a step that has run; None where they can be had the next time."""
        assert step.second is not None
        if not is_alone and not step.second.with_update:
            step.second.add_update()
            return None
        found = step.second.run(arguments, row.turn)
        if step.keepsakes is not None:
            step.keepsakes.vector = found.batch
        changes = step.changes(found.vector) if found.changes is None else found.changes
        return Delivery(found.vector, changes, row.turn)

    def _finish(self, step: Step, row: Row, delivery: Delivery | None, at_once: bool) -> bool:
        """Record one optimizer call; whether to sample the next one."""
        pending = self._pending.setdefault(step.optimizer, _Pending())
        if not row.applied and step.calls_per_step == 1:
            return delivery is not None  # skipped for its gradients: no step
        if row.loss is not None:
            pending.losses.append(row.loss)
        pending.examples += row.batch_size or 0
        if not row.applied:
            return delivery is not None
        del self._pending[step.optimizer]
        number = self._recorder.steps
        if delivery is not None:
            self._recorder.add_sample(self._sample(step, delivery, number, row.batch_size))
        losses = pending.losses
        # An optimizer that accumulates averages its gradients itself.
        loss = sum(losses) / (len(losses) if step.calls_per_step > 1 else 1) if losses else None
        wants = self._recorder.add_step(
            data_wait_ns=None,  # TensorFlow waits inside the function that trains
            loss=loss,
            lr=row.lr,
            grad_norm=None,
            batch_size=pending.examples or None,
            optimizer=step.optimizer,
            phase=self.observer.phase,
            sampled=delivery is not None,
            gradients_cleared=None,
        )
        return self._next_in_turn(wants) if not at_once else wants

    def _sample(
        self, step: Step, delivery: Delivery, number: int, batch_size: int | None
    ) -> Sample:
        found = step.find(delivery)
        for site in step.order:
            if site in found.shapes or site.shape:
                self._sites.id_of(site, found.shapes.get(site, ()))
        parts = tuple(
            part._replace(site=self._sites.id_of(site, found.shapes.get(site, ())))
            for site, part in found.sites
        )
        batch = batch_sample(number, step.facts, found, batch_size)
        tensors = (
            *self._first_batch(step, delivery),
            *self._filters.keep(number, step.order, found),
        )
        return Sample(number, found.values, parts, batch, tensors)

    def _first_batch(self, step: Step, delivery: Delivery) -> tuple[KeptTensor, ...]:
        """The batch of the first sample; nothing of later ones."""
        keepsakes, step.keepsakes = step.keepsakes, None
        if keepsakes is None or self._has_batch:
            return ()
        self._has_batch = True
        return keepsakes.find()

    def _next_in_turn(self, wants_next: bool) -> bool:
        """Whether to sample the next eager step; optimizers that take turns get one each."""
        if self._turns_left > 0:
            self._turns_left -= 1
            return True
        if wants_next:
            self._turns_left = min(self._optimizers.living, _MAX_TURNS) - 1
        return wants_next

    def _arm(self) -> None:
        self.turn += 1
        self.samples_eagerly = True

    def _use_board(self) -> Board:
        """The board; made with the first training graph, which samples its first call."""
        if self._board is None:
            self._board = Board()
        return self._board


def _steps_in(graph: Any) -> list[int]:
    """The numbers of the steps in a graph and in those that it calls."""
    return _list_on(graph, "_nntrace_steps")


def _list_on(graph: Any, name: str) -> list[int]:
    found: list[int] | None = getattr(graph, name, None)
    if found is None:
        found = []
        setattr(graph, name, found)
    return found


def _note_step(graph: Any, number: int) -> None:
    """A step is in a graph, and so in those around it."""
    while getattr(graph, "building_function", False):
        if number not in _steps_in(graph):
            _steps_in(graph).append(number)
        graph = graph.outer_graph


def _replica() -> int:
    """The number of this replica; 0 without a strategy."""
    replica = tf.distribute.get_replica_context()
    if replica is None:
        return 0
    number = replica.replica_id_in_sync_group
    static = tf.get_static_value(number) if tf.is_tensor(number) else number
    return int(static) if static is not None else 0


__all__ = ["Training"]
