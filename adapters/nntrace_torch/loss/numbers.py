"""Notices that a loss function's value is added to the objective as a number, by `.item()`, say.

The objective is then the sum of the terms in its graph and of one constant factor times the result
of a call that is not in it: in several samples, in which that result varies.
"""

from collections import defaultdict
from collections.abc import Sequence

import torch

from nntrace.recorder import Recorder
from nntrace.schema import EventKind
from nntrace_torch.loss.graph import LossCall, Term, value
from nntrace_torch.patching import read_number
from nntrace_torch.program.sources import caller

_LOOKS = 4  # samples that must agree
_MOST = 64  # samples with calls that are left out of the objective
_ROUNDING = 1e-3  # of a factor
_VARIES = 0.01  # of a call's result, relative to the largest


class NumberWatch:
    """Compares a few objectives with their terms, until one is found or none is likely."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._seen: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
        self._looks = 0

    def look(self, loss: torch.Tensor, terms: Sequence[Term], calls: Sequence[LossCall]) -> None:
        """Before the first backward of a sampled step.

        Args:
            loss: what is differentiated.
            terms: its summands.
            calls: of loss functions in the step, with results that have a gradient.
        """
        summed = {id(term.node) for term in terms}
        left = [call for call in calls if id(call.node) not in summed]
        if not left or self._looks == _MOST or not loss.is_cpu:
            return
        values = [value(term) for term in terms]
        known = [read_number(one) for one in values if one is not None]
        if len(known) < len(terms):
            return
        self._looks += 1
        parts = [one * term.weight for one, term in zip(known, terms, strict=True)]
        rest = read_number(loss.detach()) - sum(parts)
        for place, call in enumerate(left):
            result = read_number(call.value)
            seen = self._seen[f"{place} {call.name}"]
            seen.append((result, rest / result if result else 0.0))
            if len(seen) >= _LOOKS and _is_a_number(seen[-_LOOKS:]):
                self._looks = _MOST
                payload = {"what": "number", "function": call.name, "weight": seen[-1][1]}
                payload |= caller().place
                self._recorder.add_event(EventKind.ATTACHED, payload, severity="warning")
                return


def _is_a_number(seen: Sequence[tuple[float, float]]) -> bool:
    """Whether results vary, and what is left of the objectives is one factor times each."""
    results, factors = [result for result, _ in seen], [factor for _, factor in seen]
    varies = max(results) - min(results) > _VARIES * max(map(abs, results))
    spread = max(factors) - min(factors)
    return varies and min(map(abs, factors)) > _ROUNDING and spread < _ROUNDING * abs(factors[0])
