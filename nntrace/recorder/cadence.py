"""Decides which steps are sampled, so that tracing keeps its overhead budget.

The cadence never reads a clock: the caller passes elapsed and spent nanoseconds.
"""

import math
from dataclasses import dataclass, field
from typing import Final

GRACE_NS: Final = 1_000_000_000
DENSE_STEPS: Final = 10
CLOSER_STEPS: Final = 10
# The grace grows by this share of elapsed time: given at once, it would be used up too early.
_GRACE_SHARE: Final = 0.25
_COVERAGE: Final = 1.05  # a sample is due once the run is this many times as long as at the last
_LEAST_COVERAGE: Final = 1.1
_SMOOTHING: Final = 0.2
_LONGEST_REST_NS: Final = 250_000_000  # the spending may turn out to be less than was assumed
_MANY: Final = 1 << 30


@dataclass(slots=True)
class Cadence:
    """An allowance that elapsed time fills and overhead drains.

    The first `dense_steps` steps are all sampled. After them a step is sampled when the allowance,
    `grace + budget × elapsed − spent`, covers what a sample has cost lately. The grace grows with
    the run's first seconds to `grace_ns`, so that a short run is sampled densely and to its end,
    and a long one at `budget`.

    Every part of a run gets samples, even where a busy machine uses up the grace of a short run
    in its middle, or steps leave little time: no more than a twentieth of the run so far passes
    without a sample while the whole grace lasts, and no more than a tenth while the overdraft is
    below another grace or samples alone keep to the budget.

    Attributes:
        budget: the fraction of elapsed time that tracing may take.
        every: pins the interval in steps; the budget is then ignored.
    """

    budget: float = 0.02
    every: int | None = None
    grace_ns: int = GRACE_NS
    dense_steps: int = DENSE_STEPS
    sample_cost_ns: float = field(default=0.0, init=False)
    _samples: int = field(default=0, init=False)
    _samples_ns: int = field(default=0, init=False)
    _burst: int = field(default=0, init=False)
    _dense_spent_ns: float = field(default=0.0, init=False)
    _last_sampled: int = field(default=0, init=False)
    _unrest: bool = field(default=False, init=False)
    _rest_ends: tuple[float, float] = field(default=(0, 0), init=False)  # step, elapsed_ns

    def record_sample(self, cost_ns: int) -> None:
        """Note what one sampled step cost."""
        self._samples += 1
        self._samples_ns += cost_ns
        # A plain mean at first: the very first sample pays for allocations.
        weight = max(_SMOOTHING, 1.0 / self._samples)
        self.sample_cost_ns += weight * (cost_ns - self.sample_cost_ns)
        self._rest_ends = (0, 0)

    def burst(self, steps: int) -> None:
        """Sample the next `steps` steps, whatever the allowance or the interval."""
        self._burst = max(self._burst, steps)
        self._rest_ends = (0, 0)

    def look_closer(self) -> None:
        """Sample the next steps, all of them, because something has begun to happen.

        Their cost is paid back before the next such burst may begin. A pinned interval is kept.
        """
        self._unrest = self.every is None
        self._rest_ends = (0, 0)  # set after the flag, as the writer thread calls this, too

    def rests(self, step: int, elapsed_ns: float) -> bool:
        """Whether `wants` is known to say no to this step, whatever was spent."""
        until_step, until_ns = self._rest_ends
        return step < until_step and elapsed_ns < until_ns

    def room(self, step: int) -> int:
        """The number of steps, from `step` on, that may pass before `wants` is asked again.

        For these steps the answer is known to be no, or asking late does no harm.
        """
        if self._burst > 0:
            return 0
        if self.every is not None:
            return -step % self.every
        return 0 if step < self.dense_steps else _MANY

    def wants(self, step: int, *, elapsed_ns: float, spent_ns: float) -> bool:
        """Whether step number `step` (from 0) should be sampled."""
        if self._burst > 0:
            self._burst -= 1
            return True
        if self.every is not None:
            self._rest_ends = (step - step % self.every + self.every, math.inf)
            return step % self.every == 0
        if step < self.dense_steps:
            self._dense_spent_ns = spent_ns
            self._last_sampled = step
            return True
        # The cost of the dense steps counts against the grace, but must not delay the rest of it.
        grace_ns = min(self.grace_ns, self._dense_spent_ns + _GRACE_SHARE * elapsed_ns)
        filled_ns = self.budget * elapsed_ns - spent_ns - self.sample_cost_ns
        if self._unrest:
            self._unrest = False
            if self.grace_ns + filled_ns >= 0:
                self.burst(CLOSER_STEPS - 1)
                self._last_sampled = step
                return True
        left_ns = self.grace_ns + filled_ns
        coverage = _COVERAGE if left_ns >= 0 else _LEAST_COVERAGE
        # The second term is negative as long as samples alone keep to the allowance: where steps
        # are so short that noting each of them takes more than the budget, samples become rare but
        # do not end.
        overdrawn_ns = min(-(left_ns + self.grace_ns), self._samples_ns - spent_ns - left_ns)
        overdue = overdrawn_ns <= 0 and step >= self._last_sampled * coverage
        if overdue or grace_ns + filled_ns >= 0:
            self._last_sampled = step
            return True
        self._rest(elapsed_ns, -(grace_ns + filled_ns), overdrawn_ns)
        return False

    def _rest(self, elapsed_ns: float, missing_ns: float, missing_overdue_ns: float) -> None:
        """Rest until the allowance may cover a sample, or a sample may be overdue."""
        rest_ns = min(missing_ns / (self.budget + _GRACE_SHARE), _LONGEST_REST_NS)
        until_step = self._last_sampled * _COVERAGE
        if missing_overdue_ns > 0:
            until_step = math.inf
            rest_ns = min(rest_ns, missing_overdue_ns / self.budget) if self.budget else rest_ns
        self._rest_ends = (until_step, elapsed_ns + rest_ns)
        if self._unrest:
            self._rest_ends = (0, 0)  # the writer thread has called `look_closer` meanwhile
