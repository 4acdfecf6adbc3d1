"""Reads the board and records the steps that graphs have made since it was last read.

For fast steps, work is done once for several of them: the read itself, and the record of steps
that have nothing but their plain facts.
"""

import time
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Sequence
from typing import Any

from tensorflow.python.eager import record

from nntrace.recorder import Instant, Recorder
from nntrace.schema import EventKind
from nntrace_keras.data.waits import DataWaits
from nntrace_keras.graphs.awaited import Awaited
from nntrace_keras.graphs.board import Row
from nntrace_keras.graphs.future import FutureWatch
from nntrace_keras.graphs.mixing import MixingWatch
from nntrace_keras.graphs.steps import GraphSteps
from nntrace_keras.graphs.uneventful import uneventful
from nntrace_keras.graphs.unread import Call, Unread, shared_out
from nntrace_keras.nonfinite.graph import GraphOrigins
from nntrace_keras.program.sources import Sources
from nntrace_keras.recorded_steps import RecordedSteps
from nntrace_keras.samples.calls import Delivery, Step


class StepReader:
    """Records the steps that the graphs of this process have made."""

    def __init__(
        self,
        recorder: Recorder,
        sources: Sources,
        steps: GraphSteps,
        awaited: Awaited,
        unread: Unread,
        origins: GraphOrigins,
        waits: DataWaits,
        recorded: RecordedSteps,
    ) -> None:
        self._recorder = recorder
        self._steps = steps
        self._awaited = awaited
        self._unread = unread
        self._origins = origins
        self._waits = waits
        self._recorded = recorded
        self._future = FutureWatch(recorder)
        self._mixing = MixingWatch(recorder, sources)

    def look(self) -> None:
        """Record the steps that graphs have made since the last look."""
        calls, board, awaited = self._unread.take(), self._awaited.board, self._awaited
        if not calls or board is None:
            return
        rows, sampled, lost = board.news()
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
        is_quiet = not (awaited.expected or self._origins.is_alarmed)
        awaited.end_look(sampled.values())
        turn = self._recorded.settle(wants)
        if turn is not None:
            board.arm(turn)
        graphs = {row.graph for row in rows}
        self._unread.looked(
            calls,
            len(rows),
            is_known_later=all(_is_known_later(self._steps.made[graph]) for graph in graphs),
            room=min(self._recorder.room, self._origins.room(graphs), *self._rooms(graphs)),
            is_quiet=is_quiet,
        )

    def _rooms(self, graphs: Iterable[int]) -> Iterator[int]:
        """Per graph, how many steps may pass before kept inputs of a step or the one before go."""
        for graph in graphs:
            second = self._steps.made[graph].second
            if second is not None and second.kept.recent is not None:
                yield second.kept.recent.steps - 1

    def _pass_over(self, calls: Sequence[Call], rows: Sequence[Row], inside_ns: int | None) -> int:
        """Record all steps but the last together, if none needs a record of its own.

        Returns how many were recorded: 0 if they must be recorded one by one.
        """
        if len(calls) != len(rows) or len(rows) < 2:
            return 0
        if self._awaited.expected or self._awaited.unseen:
            return 0
        step = self._steps.made[rows[0].graph]
        passed = calls[:-1]
        found = uneventful(passed, rows[:-1], step.returned, inside_ns)
        if found is None or not self._recorded.finish_together(step, found):
            return 0
        is_called = step.second is not None and step.second.graph is passed[-1].function.graph
        losses = [one.loss for one in found if one.loss is not None]
        arguments = passed[-1].inputs if is_called else None
        self._origins.passed(step, rows[0].graph, losses, arguments)
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
        """Record the steps of one call; return whether to sample the next one.

        `ahead` counts, by graph number, the rows that are yet to be read; it is updated.
        """
        wants = False
        for place, row in enumerate(rows, 1):
            step = self._steps.made[row.graph]
            ahead[row.graph] -= 1
            if self._awaited.unseen:
                self._awaited.say_unseen(row.graph)
            if row.loss is None and step.returned is not None:
                row = row._replace(loss=step.returned.read(call.function, call.result))
            elif row.loss is None:
                row = row._replace(loss=call.given[0], batch_size=row.batch_size or call.given[1])
            delivery = None
            second = self._awaited.expected.get(row.graph)
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
                self._origins.look(step, row, arguments, has_batch=has_batch, followed=since)
            finish = self._recorded.finish
            wants = finish(step, row, delivery, waited_ns, ended, followed) or wants
        return wants

    def _deliver(
        self, step: Step, row: Row, arguments: list[Any] | None, is_alone: bool
    ) -> Delivery | None:
        """The sample of a step that has run; None if it can be had only the next time, or never."""
        assert step.second is not None
        if not is_alone and not step.second.with_update:
            step.second.add_update()
            return None
        found = self._awaited.computed(row, step.second, arguments)
        if found is None:
            return None
        self._origins.look(step, row, arguments, found.vector)
        with record.stop_recording():
            self._future.look(step.forward, step.second, arguments, row.loss)
            if self._steps.have_one_optimizer:
                self._mixing.look(step.forward, step.second, step.spans, arguments, row.loss)
        if step.keepsakes is not None:
            step.keepsakes.vector = found.batch
        if not found.has_updates:
            return step.delivery(found.vector, row.turn)
        return Delivery(found.vector, row.turn)


def _is_known_later(step: Step) -> bool:
    """Whether the inputs of a step that breaks are still there after later steps of its graph.

    They are not if the loss is returned and inputs are kept in variables: the graph does not see
    that loss, and goes on overwriting them.
    """
    return step.returned is None or step.second is None or not step.second.kept.stops_at_a_break
