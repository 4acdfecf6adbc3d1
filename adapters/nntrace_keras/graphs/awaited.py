"""The samples of steps in graphs: prepared before the call that makes the step, computed after it.

A step whose sample cannot be computed, or that never comes, is not prepared again.
"""

import weakref
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from tensorflow.python.eager import record

from nntrace.recorder import Recorder
from nntrace.schema import EventKind
from nntrace_keras.graphs.board import Board, Row
from nntrace_keras.graphs.on_graph import list_on
from nntrace_keras.graphs.second import CannotComputeError, Results, Second
from nntrace_keras.graphs.steps import GraphSteps, release

# TensorFlow builds the first function with variables twice: a step of the graph that it drops never
# runs. To prepare for it at each call would hold all variables' values, and so copy them all.
_PATIENCE = 16  # calls without the step
_FOREVER = 1 << 62  # a step that ran once may run again at any time


class Awaited:
    """The samples that the next call of a training function may bring.

    Attributes:
        board: tells the graphs when to sample; made with the first training graph.
        expected: the prepared second computations, by the number of the step.
        unseen: why a step cannot be sampled, by its number, until that is recorded.
    """

    def __init__(self, recorder: Recorder, steps: GraphSteps) -> None:
        self._recorder = recorder
        self._steps = steps
        self.board: Board | None = None
        self.expected: dict[int, Second] = {}
        self.unseen: dict[int, str] = {}
        self._in_vain: Counter[int] = Counter()  # calls that did not make a step that never ran

    def includes(self, number: int) -> bool:
        """Whether the next call is to sample this step."""
        assert self.board is not None
        return (
            self.board.expects(number)
            and self._in_vain[number] < _PATIENCE
            and self._steps.made[number].second is not None
        )

    def prepare(self, number: int, function: Any) -> None:
        """Prepare the sample of this step, which the function is about to make."""
        step = self._steps.made[number]
        second = step.second
        assert second is not None
        try:
            with record.stop_recording(), self._first_time(second):
                second.begins(is_called=second.graph is function.graph)
        except CannotComputeError as error:
            self._give_up(number, error)
            return
        step.layouts = second.layouts or step.layouts
        self.expected[number] = second
        released = list_on(function.graph, "_nntrace_released")
        if number not in released:
            released.append(number)
            # Variables must not live longer than the function that trains them.
            weakref.finalize(function, release, step).atexit = False

    def computed(self, row: Row, second: Second, arguments: Sequence[Any] | None) -> Results | None:
        """The sample of a step that has run; None where it cannot be computed.

        Args:
            row: what the step has written on the board.
            second: what was prepared.
            arguments: all inputs of the step's graph if the host called that graph itself, else
                None.
        """
        try:
            with record.stop_recording(), self._first_time(second):
                return second.run(arguments, row.turn)
        except CannotComputeError as error:
            self._give_up(row.graph, error)
            self.say_unseen(row.graph)
            return None

    def end_look(self, sampled: Iterable[int]) -> None:
        """End a look at the calls that have run; `sampled` are the steps sampled in them."""
        for number in sampled:
            self._in_vain[number] = -_FOREVER
        for number, second in self.expected.items():
            if second.held is not None:
                second.held.forget()
            self._in_vain[number] += 1
        self.expected.clear()

    def say_unseen(self, number: int) -> None:
        """Record, once, why a step that has run cannot be sampled, if that is so."""
        reason = self.unseen.pop(number, None)
        if reason is not None:
            optimizer = self._steps.made[number].optimizer
            what = f"activations, parameters and gradients of {optimizer}'s steps in a graph"
            self._recorder.add_event(EventKind.UNSEEN, {"what": what, "reason": reason})

    def _give_up(self, number: int, error: CannotComputeError) -> None:
        """Stop sampling a step; why is recorded when it runs, for not all steps built do."""
        self._steps.made[number].second = None
        self.unseen[number] = str(error)

    def _first_time(self, second: Second) -> AbstractContextManager[None]:
        """Count building the second computation and its first run as set-up, not as a sample."""
        return nullcontext() if second.has_run else self._recorder.setting_up()
