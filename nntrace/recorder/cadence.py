"""Decides which steps are sampled, so that tracing keeps its overhead budget.

The clock is the caller's: the cadence is given elapsed and spent nanoseconds and never reads one.
"""

from dataclasses import dataclass, field
from typing import Final

GRACE_NS: Final = 1_000_000_000
DENSE_STEPS: Final = 10
CLOSER_STEPS: Final = 10
# Of the first seconds at most this share: all at once, nothing would be left for their end.
_GRACE_SHARE: Final = 0.25
_COVERAGE: Final = 1.05
_LEAST_COVERAGE: Final = 1.1
_SMOOTHING: Final = 0.2


@dataclass(slots=True)
class Cadence:
    """An allowance that elapsed time fills and overhead drains.

    The first `dense_steps` steps are all sampled. After them a step is sampled when the allowance,
    `grace + budget × elapsed − spent`, covers what a sample has cost lately. The grace grows with
    the run's first seconds to `grace_ns`, so that a short run is seen densely and to its end, a
    long one at `budget`. No more than a twentieth of the run so far goes by unseen while the whole
    grace lasts, and no more than a tenth while as much again lasts: whatever the clock does (on a
    busy machine a short run may use up its grace in its middle), every part has its samples.

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
    _burst: int = field(default=0, init=False)
    _dense_spent_ns: float = field(default=0.0, init=False)
    _last_sampled: int = field(default=0, init=False)
    _unrest: bool = field(default=False, init=False)

    def record_sample(self, cost_ns: int) -> None:
        """Take note of what one sampled step cost."""
        self._samples += 1
        # A running mean at first: the very first sample pays for allocations.
        weight = max(_SMOOTHING, 1.0 / self._samples)
        self.sample_cost_ns += weight * (cost_ns - self.sample_cost_ns)

    def burst(self, steps: int) -> None:
        """Sample the next `steps` steps, whatever the allowance or the interval."""
        self._burst = max(self._burst, steps)

    def look_closer(self) -> None:
        """Sample the next steps, all of them: something has begun to happen.

        What they cost is paid back before the next such burst may begin. A pinned interval stays.
        """
        self._unrest = self.every is None

    def wants(self, step: int, *, elapsed_ns: float, spent_ns: float) -> bool:
        """Whether step number `step` (from 0) should be sampled."""
        if self._burst > 0:
            self._burst -= 1
            return True
        if self.every is not None:
            return step % self.every == 0
        if step < self.dense_steps:
            self._dense_spent_ns = spent_ns
            self._last_sampled = step
            return True
        # What the dense steps cost is part of the grace, but must not hold up the rest of it.
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
        overdue = left_ns + self.grace_ns >= 0 and step >= self._last_sampled * coverage
        if overdue or grace_ns + filled_ns >= 0:
            self._last_sampled = step
            return True
        return False
