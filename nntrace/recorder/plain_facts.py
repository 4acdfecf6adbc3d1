"""Decides how much is noted of steps that are not sampled: everything, or only the essentials.

The budget covers this, too. Where steps are so short that noting everything would take more than
half of it (the rest is for samples), an adapter makes *light steps*, of which it notes only what is
indispensable. Full steps come in windows, for analyses that need several in a row.
"""

from typing import Final

WINDOW: Final = 32  # full steps in a row
LONGEST: Final = 1024  # light steps in a row
_SHARE: Final = 0.5  # of the budget
_GRACE: Final = 0.1  # of the grace: a run of a few hundred steps has no light steps
_SMOOTHING: Final = 0.1
_OUTLIER: Final = 4.0


class PlainFacts:
    """An allowance that elapsed time fills and noting plain facts drains.

    Args:
        budget: the fraction of elapsed time that tracing may take.
        grace_ns: what tracing may take in total beyond the budget.

    Attributes:
        wants_light: whether coming steps should be light steps.
        spent_ns: what noting plain facts has taken; a cost far above the usual (an evaluation, a
            wait for Python's lock) counts as a few times the usual.
    """

    def __init__(self, budget: float, grace_ns: int) -> None:
        self._share = _SHARE * budget
        self._most_ns = self._left_ns = _GRACE * grace_ns
        self.wants_light = False
        self.spent_ns = 0.0
        self._mean_costs = {False: RunningMean(), True: RunningMean()}
        self._elapsed_ns = 0
        self._steps, self._cost_ns = 0, 0.0
        self._in_a_row = 0

    def step_ended(self, cost_ns: float, elapsed_ns: int, *, light: bool, followed: bool) -> None:
        """Note that an unsampled step has ended, at the cost of `cost_ns`.

        The costs of steps that others have `followed` before they are recorded are added up until a
        step comes that is recorded at once.
        """
        self._steps += 1
        self._cost_ns += cost_ns
        if followed:
            return
        steps, self._steps = self._steps, 0
        cost_ns, self._cost_ns = steps * self._mean_costs[light].add(self._cost_ns / steps), 0.0
        self.spent_ns += cost_ns
        filled_ns = self._share * max(0, elapsed_ns - self._elapsed_ns)
        self._elapsed_ns = elapsed_ns
        # Debts are bounded: a part of the program with longer steps may follow.
        left_ns = min(self._left_ns + filled_ns - cost_ns, self._most_ns)
        self._left_ns = max(left_ns, -self._most_ns)
        self._in_a_row += steps if light == self.wants_light else 0
        if self.wants_light:
            pays = self._left_ns >= WINDOW * self._mean_costs[False].mean_ns
            turns = self._in_a_row >= LONGEST or pays
        else:
            turns = self._in_a_row >= WINDOW and self._left_ns < 0
        if turns:
            self.wants_light, self._in_a_row = not self.wants_light, 0

    def followed(self, steps: int) -> None:
        """Note `steps` steps that were recorded late; their cost arrives with the next step."""
        self._steps += steps

    def look_closer(self) -> None:
        """Begin a window of full steps, because something has begun to happen."""
        self.wants_light, self._in_a_row = False, 0


class RunningMean:
    """The running mean of a cost, robust against single costs far above it.

    Attributes:
        mean_ns: the mean so far; 0 before the first cost.
    """

    def __init__(self) -> None:
        self.mean_ns = 0.0
        self._seen = 0

    def add(self, cost_ns: float) -> float:
        """Take in a cost and return it, cut to at most a few times the mean before it."""
        if self._seen and self.mean_ns:
            cost_ns = min(cost_ns, _OUTLIER * self.mean_ns)
        self._seen += 1
        self.mean_ns += max(_SMOOTHING, 1.0 / self._seen) * (cost_ns - self.mean_ns)
        return cost_ns
