"""Finds gradients that flow into what a loss only measures by: a bootstrapped target, an advantage.

Both are computed from a network's own estimate of a value. Left attached, a target comes towards
the estimate as much as the estimate towards the target, and an estimate is moved by the policy.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch

from nntrace.recorder import Recorder, is_landmark
from nntrace.schema import EventKind
from nntrace_torch.loss.graph import MOVES
from nntrace_torch.program.graphs import nearest_leaf, operation
from nntrace_torch.program.sources import caller

_LOOKS = 64  # samples, of which landmarks are looked at
_MOST = 128  # nodes between a loss and its errors, or around a log-probability
_DEEP = 16
_ADDED_UP = frozenset(
    {*MOVES, *("Mean", "Sum", "Neg", "Add", "Sub", "Mul", "Div", "Minimum", "Stack", "Cat")}
)
_ERRORS = frozenset({"MseLoss", "SmoothL1Loss", "HuberLoss"})
_CHOICES = frozenset({*MOVES, *("Gather", "Max", "Amax", "Minimum", "Maximum", "Mean", "Sum")})
_LAYERS = frozenset({"Addmm", "Mm", "Bmm", "Mv", "Convolution", "AccumulateGrad"})
_OF_LIKELIHOODS = frozenset(
    {"LogSoftmax", "LogSigmoid", "Log", "Logsumexp", "NllLoss", "Pow"}
    | {"BinaryCrossEntropyWithLogits"}
)


class AttachedWatch:
    """Looks at the graphs of a few losses, and says the first fault."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._looks = 0

    def look(
        self, loss: torch.Tensor, holders: Callable[[Sequence[torch.Tensor]], list[str | None]]
    ) -> None:
        """Before the first backward of a sampled step.

        Args:
            loss: what is differentiated.
            holders: gives the names of the optimizers that hold parameters.
        """
        self._looks += 1
        if self._looks > _LOOKS or not is_landmark(self._looks):
            return
        for what, one, other in attached(loss):
            leaves = [leaf for leaf in map(nearest_leaf, (one, other)) if leaf is not None]
            if len(leaves) < 2:
                continue
            # An estimate with an optimizer of its own may be cleared of this gradient.
            name, its = holders(leaves)
            if name is None or name != its or (what == "target" and leaves[0] is not leaves[1]):
                continue
            self._looks = _LOOKS
            source = caller()
            payload = {"what": what, "file": source.file, "line": source.line}
            self._recorder.add_event(EventKind.ATTACHED, payload, severity="warning")
            return


def attached(loss: torch.Tensor) -> Iterator[tuple[str, Any, Any]]:
    """Candidates: what was found, and the nodes of what learns and of what should not."""
    seen: set[Any] = set()
    waiting: list[Any] = [loss.grad_fn]
    while waiting and len(seen) < _MOST:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        name = operation(node)
        sides = [child for child, _ in node.next_functions]
        if name == "Pow" or (name == "Mul" and len(sides) == 2 and sides[0] is sides[1]):
            node = sides[0]
            name, sides = f"Error{operation(node)}", [child for child, _ in node.next_functions]
        if len(sides) >= 2 and None not in sides[:2]:
            one, other = sides[:2]
            if name in _ERRORS or name == "ErrorSub":
                bootstrapped = [_is_bootstrapped(side) for side in (one, other)]
                if bootstrapped == [False, True]:
                    yield "target", one, other
                elif bootstrapped == [True, False]:
                    yield "target", other, one
            elif name == "Mul":
                for factor, weight in ((one, other), (other, one)):
                    value = _estimate_in(weight)
                    if value is None or _is_likelihood(value):  # as in a divergence
                        continue
                    if _is_likelihood(factor):
                        yield "weight", factor, value
        if name in _ADDED_UP:
            waiting += sides


def _is_bootstrapped(node: Any) -> bool:
    """Whether this is data + factor · estimate, as in r + γ · V(s')."""
    adds = scales = False
    for _ in range(_DEEP):
        name = operation(node)
        sides = [child for child, _ in node.next_functions]
        is_with_data = len(sides) == 2 and (sides[0] is None) != (sides[1] is None)
        if name == "Add" and is_with_data:
            adds = True
        elif name == "Mul" and is_with_data:
            scales = True
        elif name not in _CHOICES or not sides or sides[0] is None:
            return adds and scales
        node = next(side for side in sides if side is not None)
    return False


def _estimate_in(node: Any) -> Any:
    """The estimate in data − estimate, perhaps normalised; None for anything else."""
    for _ in range(_DEEP):
        name = operation(node)
        sides = [child for child, _ in node.next_functions]
        computed = [side for side in sides if side is not None]
        if name == "Sub" and len(sides) == 2:
            if len(computed) == 1:
                return computed[0] if nearest_leaf(computed[0]) is not None else None
            if _is_bootstrapped(sides[0]):
                return sides[1]
            if operation(sides[1]) != "Mean":
                return None
        elif name != "Div" and (len(computed) != 1 or name not in {*MOVES, "Neg", "Mul"}):
            return None
        node = computed[0]
    return None


def _is_likelihood(node: Any) -> bool:
    """Whether a logarithm of probabilities, or of a density, was taken behind the last layer."""
    seen: set[Any] = set()
    waiting = deque([node])
    while waiting and len(seen) < _MOST:
        current = waiting.popleft()
        if current is None or current in seen:
            continue
        seen.add(current)
        name = operation(current)
        if name in _OF_LIKELIHOODS:
            return True
        if name not in _LAYERS:
            waiting.extend(child for child, _ in current.next_functions)
    return False
