"""Follows the training from optimizer call to optimizer call, inside graphs and eagerly.

In a graph each call writes one row of plain facts and, if it is to be sampled, a vector of sampled
elements; both are read after the function that holds the graph has run. What becomes of them is in
`recorded_steps`.
"""

import threading
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf
from tensorflow.python.eager import record
from tensorflow.python.framework import ops

from nntrace.recorder import Recorder
from nntrace_keras.data.own_passes import OwnPasses
from nntrace_keras.data.passes import Passes
from nntrace_keras.data.waits import DataWaits
from nntrace_keras.graphs.functions import TrainingFunctions
from nntrace_keras.graphs.returned import watch_tracing
from nntrace_keras.graphs.saving import watch_saving
from nntrace_keras.nonfinite.eager import EagerOrigins
from nntrace_keras.patching import Undo, after, wrap
from nntrace_keras.program.compiled import CompiledLosses
from nntrace_keras.program.devices import DeviceObserver
from nntrace_keras.program.flags import FlagWatch
from nntrace_keras.program.left_out import LeftOutLayers
from nntrace_keras.program.loss_scales import LossScales
from nntrace_keras.program.names import Names
from nntrace_keras.program.optimizers import Optimizers
from nntrace_keras.program.sources import Sources
from nntrace_keras.recorded_steps import RecordedSteps
from nntrace_keras.samples.calls import Applied, EagerCall, GraphCall
from nntrace_keras.samples.observation import Observer
from nntrace_keras.tape.by_hand import UpdatesByHand
from nntrace_keras.tape.clipping import watch_clipping
from nntrace_keras.tape.crossed import CrossedPairs
from nntrace_keras.tape.idling import IdleWatch
from nntrace_keras.tape.tapes import Tapes


class _Local(threading.local):
    depth = 0


class Training:
    """Hooks the optimizers and the functions that hold training graphs.

    Attributes:
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
        self.flags = FlagWatch(recorder, names.path)
        self._crossed = CrossedPairs(recorder, names.path)
        self._loss_scales = LossScales(recorder)
        self._left_out = LeftOutLayers(recorder, self.sources, names.layer)
        self.tapes = Tapes(
            recorder.guard,
            names.layer,
            lambda: self._steps.samples_eagerly,
            idle.differentiated,
            self.own_passes,
            self._compiled.caller,
        )
        self._optimizers = Optimizers(recorder, self.sources)
        self._steps = RecordedSteps(recorder, self._optimizers, self.observer, idle)
        self._devices = DeviceObserver(recorder)
        self._waits = DataWaits(recorder.guard)
        self.functions = TrainingFunctions(
            recorder, self.tapes, self._steps, self.sources, self._waits, idle, self.own_passes
        )
        self._origins = EagerOrigins(recorder, self.tapes, self.sources)
        self._local = _Local()
        self.saw_gradient = False

    def follow_epochs(self, epoch: Callable[[], int | None]) -> None:
        """Have `epoch` return the number of the current pass over the data, or None."""
        self._steps.epoch = epoch

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
            *self._left_out.install(),
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
            self._loss_scales.scaled()
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
        for root in (root.layer for gradient in gradients for root in gradient.calls.roots):
            self._left_out.look(root)
        self._loss_scales.look(optimizer, gradients)
        pairs = list(zip(grads, variables, strict=False))
        name = self._optimizers.name(optimizer, [variable for _, variable in pairs])
        is_first = not self._steps.have_batch
        call = Applied(optimizer, name, pairs, gradients, is_first)
        self._devices.look(variables)
        with record.stop_recording():
            if tf.executing_eagerly():
                eager = EagerCall(self.observer, call, self._steps.eager_turn)
                self._origins.look(eager.loss, gradients)
                self._crossed.look(pairs, gradients)
                return eager
            if not getattr(ops.get_default_graph(), "building_function", False):
                return None
            with self._recorder.setting_up(), tf.name_scope("nntrace"):
                steps = self.functions.steps
                board = self.functions.use_board()
                is_repeated = steps.repeats(ops.get_default_graph(), name, variables)
                in_graph = GraphCall(
                    self.observer, board, steps.count, call, is_repeated=is_repeated
                )
            steps.add(in_graph.step)
            self._crossed.look(pairs, gradients)
            return in_graph

    def _ends(self, begun: EagerCall | GraphCall) -> None:
        with record.stop_recording():
            if isinstance(begun, GraphCall):
                with self._recorder.setting_up(), tf.name_scope("nntrace"):
                    begun.end()
                return
            row = begun.end()
            delivery = begun.delivery
        self.functions.look()
        self._steps.finish_eager(begun.step, row, delivery, self._waits.take())


def _replica() -> int:
    """The number of this replica; 0 without a distribution strategy."""
    replica = tf.distribute.get_replica_context()
    if replica is None:
        return 0
    number = replica.replica_id_in_sync_group
    static = tf.get_static_value(number) if tf.is_tensor(number) else number
    return int(static) if static is not None else 0
