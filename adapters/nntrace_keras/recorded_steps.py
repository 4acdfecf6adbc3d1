"""What becomes of optimizer calls: the steps that are recorded, and which are sampled next.

Calls made eagerly come one by one, those in graphs when these are read. A step ends when an
optimizer has changed its variables; calls before that are its micro-batches.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from nntrace.recorder import Instant, LossLevel, Recorder
from nntrace_keras.graphs.board import Row
from nntrace_keras.graphs.uneventful import Uneventful
from nntrace_keras.program.optimizers import Optimizers
from nntrace_keras.samples.calls import Delivery, Step
from nntrace_keras.samples.flipped_masks import FlipEvents
from nntrace_keras.samples.observation import Observer
from nntrace_keras.samples.records import Samples
from nntrace_keras.samples.sites import Sites
from nntrace_keras.tape.clipping import clipping_in
from nntrace_keras.tape.idling import IdleWatch

_MAX_TURNS = 4


@dataclass(slots=True)
class _Pending:
    """The micro-batches so far of a step that has not ended."""

    losses: list[float] = field(default_factory=list)
    examples: int = 0

    def loss(self, step: Step) -> float | None:
        """Their losses as one; an optimizer that accumulates averages its gradients itself."""
        if not self.losses:
            return None
        return sum(self.losses) / (len(self.losses) if step.calls_per_step > 1 else 1)


class RecordedSteps:
    """The steps of one process, whichever optimizer makes them.

    Attributes:
        samples_eagerly: whether the next step made eagerly is to be sampled.
        epoch: returns the number of the current pass over the data, or None.
    """

    def __init__(
        self, recorder: Recorder, optimizers: Optimizers, observer: Observer, idle: IdleWatch
    ) -> None:
        self._recorder = recorder
        self._optimizers = optimizers
        self._observer = observer
        self._idle = idle
        self._samples = Samples(Sites(recorder))
        self._flips = FlipEvents(recorder)
        self._pending: dict[str, _Pending] = {}
        self._level = LossLevel()
        self._turn = 0
        self._turns_left = 0
        self.samples_eagerly = True
        self.epoch: Callable[[], int | None] = lambda: None

    @property
    def have_batch(self) -> bool:
        """Whether the first batch of the run has been kept."""
        return self._samples.have_batch

    @property
    def eager_turn(self) -> int | None:
        """The turn of the sample of the step that is made eagerly now; None without one."""
        return self._turn if self.samples_eagerly else None

    def finish_eager(
        self, step: Step, row: Row, delivery: Delivery | None, waited_ns: int | None
    ) -> None:
        """Record one call made eagerly, and settle whether the next one is sampled."""
        if self.finish(step, row, delivery, waited_ns):
            self._arm()
        elif row.applied:
            self.samples_eagerly = False

    def finish(
        self,
        step: Step,
        row: Row,
        delivery: Delivery | None,
        waited_ns: int | None,
        ended: Instant | None = None,
        followed: bool = False,
    ) -> bool:
        """Record one optimizer call; return whether to sample the next one.

        Args:
            step: the step that the call is part of.
            row: the plain facts of the call.
            delivery: its sample, if it was sampled.
            waited_ns: how long training waited for the data, if that is known.
            ended: when it ended, if that was some time before: in a graph, which is read later.
            followed: whether others have followed it since.
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
        found = None if is_skipped or delivery is None else step.find(delivery)
        clip_norm, clip_limit = clipping_in(found)
        if found is not None:
            number = self._recorder.steps
            self._recorder.add_sample(self._samples.made(step, found, number, row, self.epoch()))
            self._flips.look(step.facts, found)
        loss = pending.loss(step)
        wants = self._recorder.add_step(
            data_wait_ns=waited_ns,
            loss=loss,
            lr=row.lr,
            grad_norm=None,
            batch_size=pending.examples or None,
            optimizer=step.optimizer,
            phase=self._observer.phase,
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

    def finish_together(self, step: Step, steps: Sequence[Uneventful]) -> bool:
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
        phase, rest = self._observer.phase, (None,) * 4
        noted = [
            (ended_ns, waited_ns, loss, lr, size or None, step.optimizer, phase, *rest)
            for ended_ns, waited_ns, loss, lr, size in steps
        ]
        self._recorder.add_followed(noted, time.time_ns() - time.perf_counter_ns())
        return True

    def settle(self, wants: bool) -> int | None:
        """After a function has run, return the turn of the next sample if one is wanted."""
        if wants:
            self._arm()
            return self._turn
        self.samples_eagerly = False
        return None

    def _arm(self) -> None:
        self._turn += 1
        self.samples_eagerly = True

    def _next_in_turn(self, wants_next: bool) -> bool:
        """Whether to sample the next eager step; several optimizers get one sampled step each."""
        if self._turns_left > 0:
            self._turns_left -= 1
            return True
        if wants_next:
            self._turns_left = min(self._optimizers.living, _MAX_TURNS) - 1
        return wants_next
