"""Finds gradients that flow into what a loss only measures by: a bootstrapped target, an advantage,
and the old probability of an action, where that is computed by the policy as it is now.

The former two are computed from a network's own estimate of a value. Left attached, a target comes
towards the estimate as much as the estimate towards the target, and an estimate is moved by the
policy.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch

from nntrace.recorder import Recorder, is_landmark
from nntrace.schema import EventKind
from nntrace_torch.loss.graph import MOVES
from nntrace_torch.program.graphs import nearest_leaf, nodes_of, operands, operation, saved
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
            payload = {"what": what, **caller().place}
            self._recorder.add_event(EventKind.ATTACHED, payload, severity="warning")
            return


def attached(loss: torch.Tensor) -> Iterator[tuple[str, Any, Any]]:
    """Candidates: what was found, and the nodes of what learns and of what should not."""
    for node in nodes_of(loss.grad_fn, most=_MOST, beyond=_is_added_up):
        squared = _squared(node)
        name, sides = operation(node), operands(node if squared is None else squared)
        if name == "Exp" and operation(sides[0]) == "Sub" and _is_one(saved(node, "result")):
            sides = operands(sides[0])
        if len(sides) < 2 or None in sides[:2]:
            continue
        one, other = sides[:2]
        if name in _ERRORS or (squared is not None and operation(squared) == "Sub"):
            bootstrapped = [_is_bootstrapped(side) for side in (one, other)]
            if bootstrapped == [False, True]:
                yield "target", one, other
            elif bootstrapped == [True, False]:
                yield "target", other, one
        elif name == "Exp":
            yield "ratio", one, other
        elif name == "Mul" and squared is None:
            for factor, weight in ((one, other), (other, one)):
                value = _estimate_in(weight)
                if value is None or _is_likelihood(value):  # as in a divergence
                    continue
                if _is_likelihood(factor):
                    yield "weight", factor, value


def _is_added_up(node: Any) -> bool:
    return operation(node) in _ADDED_UP and _squared(node) is None


def _is_one(ratio: Any) -> bool:
    """Whether all ratios are 1, without any rounding."""
    return isinstance(ratio, torch.Tensor) and ratio.numel() > 1 and bool((ratio == 1).all())


def _squared(node: Any) -> Any:
    """What this is a power of, or the product with itself; None if it is none."""
    name, sides = operation(node), operands(node)
    is_square = name == "Mul" and len(sides) == 2 and sides[0] is sides[1]
    return sides[0] if name == "Pow" or is_square else None


def _is_bootstrapped(node: Any) -> bool:
    """Whether this is data + factor · estimate, as in r + γ · V(s')."""
    adds = scales = False
    for _ in range(_DEEP):
        name, sides = operation(node), operands(node)
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
        name, sides = operation(node), operands(node)
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
    behind = nodes_of(
        node, most=_MOST, nearest_first=True, beyond=lambda one: operation(one) not in _LAYERS
    )
    return any(operation(one) in _OF_LIKELIHOODS for one in behind)
