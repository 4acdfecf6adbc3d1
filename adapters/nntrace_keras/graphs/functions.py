"""The functions of TensorFlow that hold training graphs: what is done before and after they run.

A step that is not sampled costs its part of a read of the board, which fast steps share; all else
is done for a sampled one alone.
"""

import time
import weakref
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import tensorflow as tf
from tensorflow.python.eager import context, record
from tensorflow.python.eager.polymorphic_function.concrete_function import ConcreteFunction

from nntrace.recorder import Instant, Recorder
from nntrace.schema import EventKind
from nntrace_keras.births.graph import Births
from nntrace_keras.data.own_passes import OwnPasses, called_in
from nntrace_keras.data.waits import DataWaits
from nntrace_keras.graphs.board import Board, Row
from nntrace_keras.graphs.future import FutureWatch
from nntrace_keras.graphs.inside import keep_inputs
from nntrace_keras.graphs.on_graph import list_on
from nntrace_keras.graphs.second import CannotComputeError, Second
from nntrace_keras.graphs.steps import GraphSteps, release, steps_in
from nntrace_keras.graphs.uneventful import Uneventful, uneventful
from nntrace_keras.graphs.unread import Call, Unread, is_plain, shared_out
from nntrace_keras.patching import Undo, wrap
from nntrace_keras.program.sources import Sources
from nntrace_keras.samples.calls import Delivery, Step
from nntrace_keras.tape.gradients import gradients_in
from nntrace_keras.tape.idling import IdleWatch
from nntrace_keras.tape.tapes import Tapes

# TensorFlow builds the first function with variables twice: a step of the graph that it drops never
# comes. To prepare for it at each call would hold all variables' values, and so copy them all.
_PATIENCE = 16
_FOREVER = 1 << 62  # a step that came once may come again after any time


class TrainingFunctions:
    """Follows the functions in whose graphs an optimizer is called.

    Args:
        finish: records one optimizer call; whether it wants the next one sampled.
        together: records several of one step that others have followed, unless there is more to
            say of one of them; whether it did.
        settle: told whether any did, gives the turn of the next sample, or None.

    Attributes:
        steps: those that the functions hold.
    """

    def __init__(
        self,
        recorder: Recorder,
        tapes: Tapes,
        finish: Callable[[Step, Row, Delivery | None, int | None, Instant, bool], bool],
        together: Callable[[Step, Sequence[Uneventful]], bool],
        settle: Callable[[bool], int | None],
        sources: Sources,
        waits: DataWaits,
        idle: IdleWatch,
        own_passes: OwnPasses,
    ) -> None:
        self._recorder = recorder
        self._tapes = tapes
        self._finish = finish
        self._together = together
        self._next = settle
        self._board: Board | None = None
        self.steps = GraphSteps()
        self._expected: dict[int, Second] = {}  # by the number of the step
        self._in_vain: Counter[int] = Counter()  # calls without it, of a step that never came
        self._unseen: dict[int, str] = {}  # why a step cannot be sampled, by its number
        self._births = Births(recorder, sources)
        self._future = FutureWatch(recorder)
        self._unread = Unread()
        self._waits = waits
        self._idle = idle
        self._own_passes = own_passes

    def install(self) -> list[Undo]:
        """Watch every function's calls."""
        guard = self._recorder.guard
        self._keep = guard(partial(keep_inputs, self.steps, self.use_board))
        self._expect = guard(self._will_run)
        self._note = guard(self._has_run)
        self._note_other = guard(self._other_has_run)
        self._recorder.hooks.on_catching_up(self._recorder.guard(self._catch_up))
        return [wrap(ConcreteFunction, "_call_flat", self._around_function)]

    def use_board(self) -> Board:
        """The board; made with the first training graph, which samples its first call."""
        if self._board is None:
            self._board = Board()
        return self._board

    def _around_function(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def _call_flat(function: Any, tensor_inputs: Any, captured_inputs: Any) -> Any:
            if function is self._unread.quiet and context.executing_eagerly():
                result = original(function, tensor_inputs, captured_inputs)
                self._note(function, result, list(tensor_inputs))
                return result
            if not self.trains(function):
                result = original(function, tensor_inputs, captured_inputs)
                if context.executing_eagerly() and _is_of_interest(function):
                    self._note_other(function, tensor_inputs)
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

    def _other_has_run(self, function: Any, inputs: Sequence[Any]) -> None:
        """A function has run that trains nothing: what evaluates, or computes gradients in vain."""
        if waiting := gradients_in(function.graph):
            self._idle.differentiated(waiting)
        self._own_passes.has_run(function.graph, inputs)

    def trains(self, function: Any) -> bool:
        """Whether a step of ours is in the function, or in one that it calls."""
        known = function.__dict__.get("_nntrace_trains")
        if known is None:
            if self._board is None:
                return False
            handle = self._board.variable.handle
            known = any(captured is handle for captured in function.captured_inputs)
            function.__dict__["_nntrace_trains"] = known
        return bool(known)

    def _will_run(self, function: Any) -> None:
        """Prepare the samples of the steps that it makes."""
        if self._own_passes.is_open:
            self._own_passes.training_goes_on()
        assert self._board is not None
        numbers = steps_in(function.graph)
        if self._unread:
            if is_plain(function) and not any(map(self._is_awaited, numbers)):
                return
            self.look()  # what is held from here on is of after those calls
        for number in numbers:
            step = self.steps.made[number]
            if step.second is None:
                continue
            if not self._board.expects(number):
                self._hold_weights(number, step.second, function)
                continue
            if not self._is_awaited(number):
                continue
            try:
                with record.stop_recording(), self._first_time(step.second):
                    step.second.begins(is_called=step.second.graph is function.graph)
            except CannotComputeError as error:
                self._give_up(number, error)
                continue
            step.layouts = step.second.layouts or step.layouts
            self._expected[number] = step.second
            if number not in list_on(function.graph, "_nntrace_released"):
                list_on(function.graph, "_nntrace_released").append(number)
                # Variables are not to live longer than the function that trains them.
                weakref.finalize(function, release, step).atexit = False

    def _is_awaited(self, number: int) -> bool:
        """Whether the next call is to sample this step."""
        assert self._board is not None
        return (
            self._board.expects(number)
            and self._in_vain[number] < _PATIENCE
            and self.steps.made[number].second is not None
        )

    def _hold_weights(self, number: int, second: Second, function: Any) -> None:
        """Now and then before a step that is not sampled, if its batch can be had afterwards."""
        held = second.held
        if held is None or not second.has_run or held.is_large:
            return
        has_batch = second.kept.every or second.graph is function.graph
        if has_batch and self._births.wants_weights(number):
            with record.stop_recording():
                held.hold()
            self._births.have_weights(number)

    def _first_time(self, second: Second) -> AbstractContextManager[None]:
        """Building the second computation and its first run are no cost of a sample."""
        return nullcontext() if second.has_run else self._recorder.setting_up()

    def _give_up(self, number: int, error: CannotComputeError) -> None:
        """A step cannot be sampled; that is said when it comes, for not all that are built do."""
        self.steps.made[number].second = None
        self._unseen[number] = str(error)

    def _say_unseen(self, number: int) -> None:
        reason = self._unseen.pop(number, None)
        if reason is not None:
            optimizer = self.steps.made[number].optimizer
            what = f"activations, parameters and gradients of {optimizer}'s steps in a graph"
            self._recorder.add_event(EventKind.UNSEEN, {"what": what, "reason": reason})

    def _has_run(self, function: Any, result: Any, inputs: list[Any]) -> None:
        waited_ns = self._waits.take()
        if self._unread.add(function, result, inputs, waited_ns) or self._expected:
            self.look()

    def _catch_up(self) -> None:
        if self._unread.may_be_read:  # the writer and other threads record things, too
            with tf.init_scope():  # and things are recorded while a graph is built
                self.look()

    def look(self) -> None:
        """Record the steps that graphs have made since the last look."""
        calls = self._unread.take()
        if not calls or self._board is None:
            return
        rows, sampled, lost = self._board.news()
        if lost:
            reason = f"a single call of a function made {lost + len(rows)} optimizer steps"
            self._recorder.add_event(EventKind.UNSEEN, {"what": f"{lost} steps", "reason": reason})
        wants = False
        inside_ns = self._waits.inside(calls, len(rows))
        first = 0 if lost or sampled else self._pass_over(calls, rows, inside_ns)
        ahead = Counter(row.graph for row in rows[first:])
        since_1970_ns = time.time_ns() - time.perf_counter_ns()
        for call, made in zip(calls[first:], shared_out(rows[first:], calls[first:]), strict=True):
            ended = Instant(since_1970_ns + call.ended_ns, call.ended_ns)
            waited_ns = call.waited_ns if inside_ns is None else inside_ns
            followed = call is not calls[-1]
            wants = self._read(call, made, sampled, waited_ns, ended, ahead, followed) or wants
        for number in sampled.values():
            self._in_vain[number] = -_FOREVER
        for number, second in self._expected.items():
            if second.held is not None:
                second.held.forget()
            self._in_vain[number] += 1
        is_quiet = not (self._expected or self._births.is_alarmed)
        self._expected.clear()
        turn = self._next(wants)
        if turn is not None:
            self._board.arm(turn)
        graphs = {row.graph for row in rows}
        self._unread.looked(
            calls,
            len(rows),
            is_known_later=all(_is_known_later(self.steps.made[graph]) for graph in graphs),
            room=min(self._recorder.room, self._births.room(graphs), *self._rooms(graphs)),
            is_quiet=is_quiet,
        )

    def _rooms(self, graphs: Iterable[int]) -> Iterator[int]:
        """For how many steps graphs hold on to what a step and the one before it were given."""
        for graph in graphs:
            second = self.steps.made[graph].second
            if second is not None and second.kept.recent is not None:
                yield second.kept.recent.steps - 1

    def _pass_over(self, calls: Sequence[Call], rows: Sequence[Row], inside_ns: int | None) -> int:
        """Record all steps but the last together, where there is nothing else to say of them; how
        many were.
        """
        if len(calls) != len(rows) or len(rows) < 2 or self._expected or self._unseen:
            return 0
        step = self.steps.made[rows[0].graph]
        passed = calls[:-1]
        found = uneventful(passed, rows[:-1], step.returned, inside_ns)
        if found is None or not self._together(step, found):
            return 0
        is_called = step.second is not None and step.second.graph is passed[-1].function.graph
        losses = [one.loss for one in found if one.loss is not None]
        arguments = passed[-1].inputs if is_called else None
        self._births.passed(step, rows[0].graph, losses, arguments)
        return len(found)

    def _read(
        self,
        call: Call,
        rows: Sequence[Row],
        sampled: Container[int],
        waited_ns: int | None,
        ended: Instant,
        ahead: Counter[int],
        followed: bool,
    ) -> bool:
        """Record the steps of one call; whether to sample the next one. There are so many `ahead`
        that are yet to be read, by the numbers of their graphs.
        """
        wants = False
        for place, row in enumerate(rows, 1):
            step = self.steps.made[row.graph]
            ahead[row.graph] -= 1
            if self._unseen:
                self._say_unseen(row.graph)
            if row.loss is None and step.returned is not None:
                row = row._replace(loss=step.returned.read(call.function, call.result))
            delivery = None
            second = self._expected.get(row.graph)
            is_alone = len(rows) == 1 or sum(other.graph == row.graph for other in rows) == 1
            if row.number in sampled and second is not None:
                is_called = second.graph is call.function.graph
                delivery = self._deliver(step, row, call.inputs if is_called else None, is_alone)
                wants = wants or delivery is None
            elif all(later.graph != row.graph for later in rows[place:]):
                is_called = step.second is not None and step.second.graph is call.function.graph
                is_kept = step.second is not None and step.second.kept.every and is_alone
                arguments = call.inputs if is_called else None
                has_batch, since = is_called or is_kept, ahead[row.graph]
                self._births.look(step, row, arguments, has_batch=has_batch, followed=since)
            wants = self._finish(step, row, delivery, waited_ns, ended, followed) or wants
        return wants

    def _deliver(
        self, step: Step, row: Row, arguments: list[Any] | None, is_alone: bool
    ) -> Delivery | None:
        """The samples of a step that has run; None where they can be had the next time."""
        assert step.second is not None
        if not is_alone and not step.second.with_update:
            step.second.add_update()
            return None
        try:
            with record.stop_recording(), self._first_time(step.second):
                found = step.second.run(arguments, row.turn)
        except CannotComputeError as error:
            self._give_up(row.graph, error)
            self._say_unseen(row.graph)
            return None
        self._births.look(step, row, arguments, found.vector)
        with record.stop_recording():
            self._future.look(step.forward, step.second, arguments, row.loss)
        if step.keepsakes is not None:
            step.keepsakes.vector = found.batch
        if not found.has_updates:
            return step.delivery(found.vector, row.turn)
        return Delivery(found.vector, row.turn)


def _is_of_interest(function: Any) -> bool:
    """Whether a function calls models or computes gradients, as far as its graph has noted."""
    known = function.__dict__.get("_nntrace_is_of_interest")
    if known is None:
        known = bool(called_in(function.graph) or gradients_in(function.graph))
        function.__dict__["_nntrace_is_of_interest"] = known
    return bool(known)


def _is_known_later(step: Step) -> bool:
    """Whether what a step that breaks was given is still there after others of its graph.

    A loss that is returned the graph does not look at, and goes on keeping random numbers.
    """
    return step.returned is None or step.second is None or not step.second.kept.stops_at_a_break
