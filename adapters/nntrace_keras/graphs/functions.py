"""The TensorFlow functions that hold training graphs: what is done before and after they run.

A call that needs no sample prepared costs only a note that it has returned; its steps are read
later, together with those of other calls (`reader`).
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import tensorflow as tf
from tensorflow.python.eager import context, record
from tensorflow.python.eager.polymorphic_function.concrete_function import ConcreteFunction

from nntrace.recorder import Recorder
from nntrace_keras.data.own_passes import OwnPasses, called_in
from nntrace_keras.data.waits import DataWaits
from nntrace_keras.graphs.awaited import Awaited
from nntrace_keras.graphs.board import Board
from nntrace_keras.graphs.inside import keep_inputs
from nntrace_keras.graphs.reader import StepReader
from nntrace_keras.graphs.second import Second
from nntrace_keras.graphs.steps import GraphSteps, steps_in
from nntrace_keras.graphs.unread import NOT_GIVEN, Unread, is_plain
from nntrace_keras.nonfinite.graph import GraphOrigins
from nntrace_keras.patching import Undo, wrap
from nntrace_keras.program.sources import Sources
from nntrace_keras.recorded_steps import RecordedSteps
from nntrace_keras.samples.calls import loss_and_examples
from nntrace_keras.tape.gradients import gradients_in
from nntrace_keras.tape.handed_out import handed_out
from nntrace_keras.tape.idling import IdleWatch
from nntrace_keras.tape.tapes import Tapes


class TrainingFunctions:
    """Follows the functions in whose graphs an optimizer is called.

    Attributes:
        steps: the optimizer steps in the functions' graphs.
    """

    def __init__(
        self,
        recorder: Recorder,
        tapes: Tapes,
        recorded: RecordedSteps,
        sources: Sources,
        waits: DataWaits,
        idle: IdleWatch,
        own_passes: OwnPasses,
    ) -> None:
        self._recorder = recorder
        self._tapes = tapes
        self.steps = GraphSteps()
        self._awaited = Awaited(recorder, self.steps)
        self._origins = GraphOrigins(recorder, sources)
        self._unread = Unread()
        self._waits = waits
        self._idle = idle
        self._own_passes = own_passes
        self._reader = StepReader(
            recorder,
            sources,
            self.steps,
            self._awaited,
            self._unread,
            self._origins,
            waits,
            recorded,
        )

    def install(self) -> list[Undo]:
        """Watch the calls of every function."""
        guard = self._recorder.guard
        self._keep = guard(partial(keep_inputs, self.steps, self.use_board))
        self._expect = guard(self._will_run)
        self._note = guard(self._has_run)
        self._note_other = guard(self._other_has_run)
        self._recorder.hooks.on_catching_up(self._recorder.guard(self._catch_up))
        return [wrap(ConcreteFunction, "_call_flat", self._around_function)]

    def use_board(self) -> Board:
        """Return the board, made with the first training graph, which samples its first call."""
        if self._awaited.board is None:
            self._awaited.board = Board()
        return self._awaited.board

    def _around_function(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def _call_flat(function: Any, tensor_inputs: Any, captured_inputs: Any) -> Any:
            if function is self._unread.quiet and context.executing_eagerly():
                result = original(function, tensor_inputs, captured_inputs)
                self._note(function, result, list(tensor_inputs))
                return result
            if not self.trains(function):
                result = original(function, tensor_inputs, captured_inputs)
                if context.executing_eagerly() and _is_of_interest(function):
                    self._note_other(function, tensor_inputs, result)
                return result
            if not context.executing_eagerly():
                if not self._tapes.is_unobserved:
                    self._keep(function, [*tensor_inputs, *captured_inputs])
                return original(function, tensor_inputs, captured_inputs)
            self._expect(function)
            result = original(function, tensor_inputs, captured_inputs)
            self._note(function, result, list(tensor_inputs))
            return result

        return _call_flat

    def _other_has_run(self, function: Any, inputs: Sequence[Any], result: Any) -> None:
        """Note the run of a function without a step: an evaluation, or gradients for later."""
        if waiting := gradients_in(function.graph):
            self._idle.differentiated(waiting)
            if not self._tapes.is_unobserved:
                self._tapes.gradients.hand_out(handed_out(function, inputs, result))
        self._own_passes.has_run(function.graph, inputs)

    def trains(self, function: Any) -> bool:
        """Whether the function, or one that it calls, holds an observed optimizer step."""
        known = function.__dict__.get("_nntrace_trains")
        if known is None:
            if self._awaited.board is None:
                return False
            handle = self._awaited.board.variable.handle
            known = any(captured is handle for captured in function.captured_inputs)
            function.__dict__["_nntrace_trains"] = known
        return bool(known)

    def _will_run(self, function: Any) -> None:
        """Prepare the samples of the steps that the function is about to make."""
        if self._own_passes.is_open:
            self._own_passes.training_goes_on()
        awaited = self._awaited
        board = awaited.board
        assert board is not None
        numbers = steps_in(function.graph)
        if self._unread:
            if is_plain(function) and not any(map(awaited.includes, numbers)):
                return
            self.look()  # values held from here on must be those after the unread calls
        for number in numbers:
            second = self.steps.made[number].second
            if second is None:
                continue
            if not board.expects(number):
                self._hold_weights(number, second, function)
            elif awaited.includes(number):
                awaited.prepare(number, function)

    def _hold_weights(self, number: int, second: Second, function: Any) -> None:
        """Now and then hold the weights before an unsampled step whose batch stays available."""
        held = second.held
        if held is None or not second.has_run or held.is_large:
            return
        has_batch = second.kept.every or second.graph is function.graph
        if has_batch and self._origins.wants_weights(number):
            with record.stop_recording():
                held.hold()
            self._origins.have_weights(number)

    def _has_run(self, function: Any, result: Any, inputs: list[Any]) -> None:
        waited_ns = self._waits.take()
        given = self._given_to(function) if self._tapes.gradients.is_pending else NOT_GIVEN
        if self._unread.add(function, result, inputs, waited_ns, given) or self._awaited.expected:
            self.look()

    def _given_to(self, function: Any) -> tuple[float | None, int | None]:
        """Loss and examples of a step whose gradients were computed outside of its function.

        Gradients from outside that a step with its own has not used wait no longer.
        """
        made = [self.steps.made[number] for number in steps_in(function.graph)]
        variables = [stepped.variable for step in made for stepped in step.updates]
        taken = self._tapes.gradients.take(variables)
        is_theirs = len(made) == 1 and not gradients_in(function.graph)
        return loss_and_examples(taken) if is_theirs else NOT_GIVEN

    def _catch_up(self) -> None:
        if self._unread.may_be_read:  # the writer and other threads record things, too
            with tf.init_scope():  # and things are recorded while a graph is built
                self.look()

    def look(self) -> None:
        """Record the steps that graphs have made since the last look."""
        self._reader.look()


def _is_of_interest(function: Any) -> bool:
    """Whether a function calls models or computes gradients, as far as noted on its graph."""
    known = function.__dict__.get("_nntrace_is_of_interest")
    if known is None:
        known = bool(called_in(function.graph) or gradients_in(function.graph))
        function.__dict__["_nntrace_is_of_interest"] = known
    return bool(known)
