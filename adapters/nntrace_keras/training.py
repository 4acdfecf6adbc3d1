"""Follows the training from optimizer call to optimizer call, inside graphs and eagerly.

In a graph each call writes one row of plain facts and, if it is to be sampled, a vector of sampled
elements; both are read after the function that holds the graph has run. A step ends when an
optimizer has changed its variables.
"""

import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import tensorflow as tf
from tensorflow.python.eager import record
from tensorflow.python.framework import ops

from nntrace.recorder import Instant, LossLevel, Recorder
from nntrace_keras.data.own_passes import OwnPasses
from nntrace_keras.data.passes import Passes
from nntrace_keras.data.waits import DataWaits
from nntrace_keras.graphs.board import Row
from nntrace_keras.graphs.functions import TrainingFunctions
from nntrace_keras.graphs.returned import watch_tracing
from nntrace_keras.graphs.saving import watch_saving
from nntrace_keras.graphs.uneventful import Uneventful
from nntrace_keras.nonfinite.eager import EagerOrigins
from nntrace_keras.patching import Undo, after, wrap
from nntrace_keras.program.compiled import CompiledLosses
from nntrace_keras.program.devices import DeviceObserver
from nntrace_keras.program.flags import FlagWatch
from nntrace_keras.program.names import Names
from nntrace_keras.program.optimizers import Optimizers
from nntrace_keras.program.sources import Sources
from nntrace_keras.samples.calls import Delivery, EagerCall, GraphCall, Step
from nntrace_keras.samples.observation import Observer
from nntrace_keras.samples.records import Samples
from nntrace_keras.samples.sites import Sites
from nntrace_keras.tape.by_hand import UpdatesByHand
from nntrace_keras.tape.clipping import clipping_in, watch_clipping
from nntrace_keras.tape.idling import IdleWatch
from nntrace_keras.tape.tapes import Tapes

_MAX_TURNS = 4


@dataclass(slots=True)
class _Pending:
    """The micro-batches so far of a step that has not ended."""

    losses: list[float] = field(default_factory=list)
    examples: int = 0


class _Local(threading.local):
    depth = 0


class Training:
    """Hooks the optimizers and the functions that hold training graphs.

    Attributes:
        epoch: returns the number of the current pass over the data, or None.
        passes: numbers evaluations, whether Keras or the program's own loop makes them.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self.sources = Sources(recorder)
        names = Names()
        self.observer = Observer(recorder, names, self.sources)
        self.passes = Passes()
        self.own_passes = OwnPasses(recorder, self.observer.trained_prefix_of, self.passes)
        self._idle = idle = IdleWatch(recorder)
        self._compiled = CompiledLosses(recorder)
        self.flags = FlagWatch(recorder, lambda variable: names.variable(variable, "", 0)[0])
        self.tapes = Tapes(
            recorder.guard,
            names.layer,
            lambda: self.samples_eagerly,
            idle.differentiated,
            self.own_passes,
            self._compiled.caller,
        )
        self._optimizers = Optimizers(recorder, self.sources)
        self._samples = Samples(Sites(recorder))
        self._devices = DeviceObserver(recorder)
        self._waits = DataWaits(recorder.guard)
        self.functions = TrainingFunctions(
            recorder,
            self.tapes,
            self._finish,
            self._finish_together,
            self._next,
            self.sources,
            self._waits,
            idle,
            self.own_passes,
        )
        self._origins = EagerOrigins(recorder, self.tapes, self.sources)
        self._pending: dict[str, _Pending] = {}
        self._level = LossLevel()
        self._local = _Local()
        self.turn = 0
        self.samples_eagerly = True
        self._turns_left = 0
        self.saw_gradient = False
        self.epoch: Callable[[], int | None] = lambda: None

    def install(self) -> list[Undo]:
        """Install everything that stays for the whole run."""
        guard = self._recorder.guard
        self._recorder.hooks.on_end(guard(self.own_passes.training_goes_on))
        self._begin = guard(self._begins)
        self._end = guard(self._ends)
        note_scaled = guard(self._scaled)
        scale_optimizer = keras.optimizers.LossScaleOptimizer
        return [
            *self.sources.install(),
            self._compiled.install(),
            *self.tapes.install(),
            wrap(keras.optimizers.Optimizer, "apply", self._around_apply),
            wrap(scale_optimizer, "apply", self._around_apply),
            after(keras.optimizers.Optimizer, "scale_loss", note_scaled),
            after(scale_optimizer, "scale_loss", note_scaled),
            *self.functions.install(),
            *self._waits.install(),
            *self._origins.install(),
            *UpdatesByHand(
                self._recorder, self.tapes, self._begins, self._ends, lambda: self._local.depth > 0
            ).install(),
            watch_tracing(self._recorder),
            watch_clipping(guard, self.tapes),
            watch_saving(self.functions.trains, self.tapes.unobserved),
            self._optimizers.schedules.finish,  # these record what is known only at the end
            self._origins.finish,
            self._idle.finish,
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
        gradients = self.tapes.gradients.take(variables)
        self.saw_gradient = self.saw_gradient or bool(gradients)
        if not grads or _replica() != 0:
            return None
        if self.own_passes.is_open:
            self.own_passes.training_goes_on()
        self._recorder.open()  # what tracing adds to building the graph belongs to the run
        pairs = list(zip(grads, variables, strict=False))
        name = self._optimizers.name(optimizer, [variable for _, variable in pairs])
        self._devices.look(variables)
        with record.stop_recording():
            if tf.executing_eagerly():
                turn = self.turn if self.samples_eagerly else None
                eager = EagerCall(
                    self.observer, optimizer, name, pairs, gradients, turn,
                    is_first=not self._samples.have_batch,
                )  # fmt: skip
                self._origins.look(eager.loss, gradients)
                return eager
            if not getattr(ops.get_default_graph(), "building_function", False):
                return None
            with self._recorder.setting_up(), tf.name_scope("nntrace"):
                steps = self.functions.steps
                call = GraphCall(
                    self.observer, self.functions.use_board(), steps.count, optimizer,
                    name, pairs, gradients, is_first=not self._samples.have_batch,
                    is_repeated=steps.repeats(ops.get_default_graph(), name, variables),
                )  # fmt: skip
            steps.add(call.step)
            return call

    def _ends(self, begun: EagerCall | GraphCall) -> None:
        with record.stop_recording():
            if isinstance(begun, GraphCall):
                with self._recorder.setting_up(), tf.name_scope("nntrace"):
                    begun.end()
                return
            row = begun.end()
            delivery = begun.delivery
        self.functions.look()
        if self._finish(begun.step, row, delivery, self._waits.take()):
            self._arm()
        elif row.applied:
            self.samples_eagerly = False

    # What happened.

    def _finish(
        self,
        step: Step,
        row: Row,
        delivery: Delivery | None,
        waited_ns: int | None,
        ended: Instant | None = None,
        followed: bool = False,
    ) -> bool:
        """Record one optimizer call; return whether to sample the next one.

        A call inside a function `ended` some time before it is read here, and others may have
        `followed` it since.
        """
        pending = self._pending.setdefault(step.optimizer, _Pending())
        is_skipped = not row.applied and step.calls_per_step == 1  # its gradients overflowed
        if row.loss is not None:
            pending.losses.append(row.loss)
        pending.examples += row.batch_size or 0
        if not row.applied and not is_skipped:
            self._idle.gathered(step.calls_per_step)
            return delivery is not None
        del self._pending[step.optimizer]
        if not is_skipped:
            self._optimizers.schedules.stepped(step.optimizer)
        number = self._recorder.steps
        taken = None if is_skipped else delivery
        found = None if taken is None else step.find(taken)
        clip_norm, clip_limit = clipping_in(found)
        if found is not None:
            self._recorder.add_sample(self._samples.made(step, found, number, row, self.epoch()))
        losses = pending.losses
        # An optimizer that accumulates averages its gradients itself.
        loss = sum(losses) / (len(losses) if step.calls_per_step > 1 else 1) if losses else None
        wants = self._recorder.add_step(
            data_wait_ns=waited_ns,
            loss=loss,
            lr=row.lr,
            grad_norm=None,
            batch_size=pending.examples or None,
            optimizer=step.optimizer,
            phase=self.observer.phase,
            sampled=found is not None,
            gradients_cleared=None,
            skipped=is_skipped,
            loss_scale=row.loss_scale,
            clip_norm=clip_norm,
            clip_limit=clip_limit,
            jumped=loss is not None and self._level.leaves(loss),
            ended=ended,
            followed=followed,
        )
        if is_skipped and delivery is not None:
            return True  # sample the next one in its place
        return self._next_in_turn(wants) if ended is None else wants

    def _finish_together(self, step: Step, steps: Sequence[Uneventful]) -> bool:
        """Record together the calls of an optimizer in a function that others have followed.

        Returns False, with nothing recorded, if one of them needs a record of its own.
        """
        losses = [one.loss for one in steps if one.loss is not None]
        highest = self._level.highest
        if (
            step.calls_per_step != 1
            or step.optimizer in self._pending
            or not all(-math.inf < loss <= highest for loss in losses)
            or not self._optimizers.schedules.passes(step.optimizer, len(steps))
        ):
            return False
        self._level.follow(losses)
        phase, rest = self.observer.phase, (None,) * 4
        noted = [
            (ended_ns, waited_ns, loss, lr, size or None, step.optimizer, phase, *rest)
            for ended_ns, waited_ns, loss, lr, size in steps
        ]
        self._recorder.add_followed(noted, time.time_ns() - time.perf_counter_ns())
        return True

    def _next_in_turn(self, wants_next: bool) -> bool:
        """Whether to sample the next eager step; several optimizers get one sampled step each."""
        if self._turns_left > 0:
            self._turns_left -= 1
            return True
        if wants_next:
            self._turns_left = min(self._optimizers.living, _MAX_TURNS) - 1
        return wants_next

    def _arm(self) -> None:
        self.turn += 1
        self.samples_eagerly = True

    def _next(self, wants: bool) -> int | None:
        """After a function has run, return the turn of the next sample if one is wanted."""
        if wants:
            self._arm()
            return self.turn
        self.samples_eagerly = False
        return None


def _replica() -> int:
    """The number of this replica; 0 without a distribution strategy."""
    replica = tf.distribute.get_replica_context()
    if replica is None:
        return 0
    number = replica.replica_id_in_sync_group
    static = tf.get_static_value(number) if tf.is_tensor(number) else number
    return int(static) if static is not None else 0


__all__ = ["Training"]
