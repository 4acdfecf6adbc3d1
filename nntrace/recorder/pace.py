"""Decides after every step whether the next one is sampled.

The cadence keeps the budget; this module feeds it, and recognises in a step's facts the reasons to
sample more closely than the budget alone would.
"""

import math
from typing import Final

from nntrace.recorder.account import Account
from nntrace.recorder.cadence import Cadence
from nntrace.recorder.plain_facts import PlainFacts
from nntrace.recorder.unrest import LossLevel
from nntrace.recorder.writer import Writer
from nntrace.sampling import LANDMARK_BITS

_ALWAYS_RECORDED: Final = 64


class Pace:
    """Follows the steps of one rank.

    Attributes:
        facts: how much is noted of steps that are not sampled.
        sampled_steps: the number of sampled steps.
    """

    def __init__(self, cadence: Cadence, account: Account, writer: Writer) -> None:
        self._cadence = cadence
        self._account = account
        self._writer = writer
        self._level = LossLevel()
        self._saw_nonfinite = False
        self.facts = PlainFacts(cadence.budget, cadence.grace_ns)
        self.sampled_steps = 0

    def sampled(self, cost_ns: int) -> None:
        """Note that a sampled step has ended."""
        self.sampled_steps += 1
        self._cadence.record_sample(cost_ns)

    @property
    def wants_light(self) -> bool:
        """Whether the budget asks for light steps; never with a pinned interval."""
        return self.facts.wants_light and self._cadence.every is None

    def unsampled(self, cost_ns: float, *, light: bool, followed: bool) -> None:
        """Note that an unsampled step has ended, whose hooks took `cost_ns`."""
        self.facts.step_ended(cost_ns, self._account.elapsed_ns, light=light, followed=followed)

    def wants(
        self,
        steps: int,
        loss: object,
        *,
        jumped: bool | None,
        has_ranks: bool,
        followed: bool = False,
    ) -> bool:
        """Whether to sample the step that now begins.

        Args:
            steps: the number of steps so far.
            loss: the last step's loss; ignored unless it is a number already.
            jumped: whether the loss has left its level, if the adapter follows that itself.
            has_ranks: whether there are other ranks to compare with.
            followed: whether the step in question is already over; the answer is then no.
        """
        cadence = self._cadence
        if isinstance(loss, float):
            if jumped is None:
                jumped = self._level.leaves(loss)
            if not math.isfinite(loss) and not self._saw_nonfinite:
                # Only a sample shows where the NaN is, and soon it will be everywhere.
                self._saw_nonfinite = True
                cadence.burst(1)
        if jumped:
            cadence.look_closer()
            self.facts.look_closer()
        if has_ranks and cadence.every is None and is_landmark(steps):
            cadence.burst(1)
        elapsed_ns = self._account.elapsed_ns
        if followed or cadence.rests(steps, elapsed_ns) or self._writer.is_behind:
            return False
        spent_ns = self._account.recurring_ns + self.owed_ns
        return cadence.wants(steps, elapsed_ns=elapsed_ns, spent_ns=spent_ns)

    @property
    def owed_ns(self) -> float:
        """What the writer will still spend on the samples that wait for it.

        The first samples it wrote are no guide, as they paid for set-up: until it has written
        others, a sample is assumed to cost the writer what it costs the training.
        """
        account, writer = self._account, self._writer
        per_sample = self._cadence.sample_cost_ns
        written = writer.samples_written
        if (usual := written - writer.first_samples) > 0:
            per_sample = (account.writer_ns - account.writer_setup_ns) / usual
        return (self.sampled_steps - written) * per_sample


def is_landmark(step: int) -> bool:
    """Whether every rank samples this step, so that ranks can be compared.

    Each rank keeps its own budget and would otherwise sample different steps. There are 8 landmarks
    in each doubling of the step number.
    """
    return last_landmark(step) == step


def is_recorded(number: int) -> bool:
    """Whether the `number`-th of things that a program may make without end gets an event.

    That is so for the first 64 loaders, passes over one, optimizers of one line, …, and for those
    whose numbers are landmarks.
    """
    return number < _ALWAYS_RECORDED or is_landmark(number)


def last_landmark(step: int) -> int:
    """The last landmark up to and including this step."""
    between = 1 << max(0, step.bit_length() - LANDMARK_BITS)
    return step - step % between
