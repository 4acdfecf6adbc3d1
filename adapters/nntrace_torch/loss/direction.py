"""Whether a loss written by hand moves predictions towards its targets.

Targets of zeros and ones are recognised where they multiply a function of the predictions. The
gradient that then arrives at the predictions must raise them where the targets are 1. Where it does
the reverse, everywhere and each time, a sign is wrong, or a score is minimised in place of 1 − it.
"""

from collections import defaultdict
from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import torch

from nntrace.recorder import Recorder, is_landmark
from nntrace.schema import EventKind
from nntrace_torch.program.graphs import (
    constant_operand,
    operands,
    operation,
    output_shape,
    saved,
    signed,
)
from nntrace_torch.program.sources import Source, caller

_LOOKS = 4  # which all must agree
_MOST_NODES = 256
_MOST_ELEMENTS = 1 << 20
_DEEP = 10
_NEARLY_ALL = 0.95  # of the gradient at targets of one kind
_HEADS = ("Sigmoid", "LogSigmoid", "Softmax", "LogSoftmax")
_RISING = ("Log", "Log1P", "Exp", "Sqrt", "Pow", "Clamp", "ClampMin", "ClampMax", "Add", "Clone")


class Meeting(NamedTuple):
    """Where targets meet predictions.

    Attributes:
        head: the node of the sigmoid or softmax.
        targets: zeros and ones, of the shape of the head's result: where that shall be large.
    """

    head: Any
    targets: torch.Tensor


class DirectionWatch:
    """Looks at the gradients of a few sampled steps, until one of them is right."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._judge = recorder.guard(self._judged)
        self._steps = self._reversed = 0
        self._is_done = False

    def look(self, loss: torch.Tensor) -> None:
        """Before the first backward of a sampled step without a loss function of PyTorch."""
        self._steps += 1
        if self._is_done or not is_landmark(self._steps):
            return
        by_head: dict[Any, list[torch.Tensor]] = defaultdict(list)
        for meeting in meetings(loss):
            by_head[meeting.head].append(meeting.targets)
        if len(by_head) != 1:
            self._is_done = True  # nothing to judge, or several that may differ
            return
        [(head, targets)] = by_head.items()
        head.register_hook(partial(self._judge, targets, caller(), []))

    def _judged(
        self, targets: list[torch.Tensor], source: Source, calls: list[int], given: Any, _: Any
    ) -> None:
        if calls or self._is_done or not given or given[0] is None:
            return
        calls.append(1)
        with torch.no_grad():
            is_reversed = all(_moves_away(given[0], wanted) for wanted in targets)
        self._reversed += is_reversed
        if not is_reversed or self._reversed == _LOOKS:
            self._is_done = True
        if self._reversed == _LOOKS:
            payload = {"looks": _LOOKS, **source.place}
            self._recorder.add_event(EventKind.DIRECTION, payload, severity="warning")


def meetings(loss: torch.Tensor) -> Iterator[Meeting]:
    """Where zeros and ones meet a sigmoid's or softmax's values in the graph of a loss.

    Not where anything else weighs them, as a policy's probabilities are weighed by what was earned,
    and not where probabilities are just summed up, as a penalty for them is.
    """
    seen: set[Any] = set()
    waiting = [(loss.grad_fn, True)]
    while waiting and len(seen) < _MOST_NODES:
        node, is_summed = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        name = operation(node)
        if name in _HEADS:
            continue
        if name in ("Gather", "Index"):
            found = _picked(node, name) if is_summed else None
            if found is not None:
                yield found
            continue
        computed = list(filter(None, operands(node)))
        factor = constant_operand(node) if name == "Mul" else None
        if isinstance(factor, torch.Tensor) and factor.numel() > 1:
            met = _met(computed[0], factor, is_summed=is_summed)
            if met is not None:
                yield met
            continue
        is_linear = name in ("Mean", "Sum", "Neg", "Add", "Sub", "Squeeze", "View") or (
            name in ("Mul", "Div") and len(computed) == 1
        )
        waiting += [(child, is_summed and is_linear) for child in computed]


def _met(node: Any, factor: torch.Tensor, *, is_summed: bool) -> Meeting | None:
    values = factor.detach()
    if values.numel() > _MOST_ELEMENTS or not bool(((values == 0) | (values == 1)).all()):
        return None
    wanted = values == 1
    found = _head(node)
    if found is None or output_shape(found[0]) != tuple(values.shape):
        return None
    head, rises, has_logarithm = found
    if is_summed and not has_logarithm:
        return None
    if not rises:
        wanted = ~wanted
    if "Softmax" in operation(head) and not _is_one_of(wanted, head):
        return None
    return Meeting(head, wanted) if wanted.any() and not wanted.all() else None


def _picked(node: Any, name: str) -> Meeting | None:
    """The log-probabilities of the right classes, picked by their numbers."""
    found = _head(operands(node)[0])
    shape = None if found is None else output_shape(found[0])
    if found is None or shape is None or len(shape) != 2:
        return None
    if not found[2] or "Softmax" not in operation(found[0]):
        return None
    wanted = torch.zeros(shape, dtype=torch.bool)
    if name == "Gather":
        index = saved(node, "index")
        if not isinstance(index, torch.Tensor) or signed(saved(node, "dim")) not in (1, -1):
            return None
        wanted.scatter_(1, index.detach().cpu(), True)
    else:
        indices = saved(node, "indices")
        if not indices or len(indices) != 2 or any(one is None for one in indices):
            return None
        wanted[tuple(one.detach().cpu() for one in indices)] = True
    if not found[1] or not _is_one_of(wanted, found[0]):
        return None
    return Meeting(found[0], wanted)


def _head(node: Any) -> tuple[Any, bool, bool] | None:
    """The head behind a factor; whether the factor rises with it; and is its logarithm taken?"""
    rises, has_logarithm = True, False
    for _ in range(_DEEP):
        if node is None:
            return None
        name = operation(node)
        has_logarithm = has_logarithm or name.startswith("Log")
        if name in _HEADS:
            return node, rises, has_logarithm
        sides = operands(node)
        if sum(child is not None for child in sides) != 1:
            return None
        if name in ("Neg", "Rsub") or (name == "Sub" and sides[0] is None):
            rises = not rises
        elif name not in _RISING and name != "Sub":
            return None
        node = next(child for child in sides if child is not None)
    return None


def _is_one_of(wanted: torch.Tensor, head: Any) -> bool:
    """Whether each distribution of a softmax has one wanted value."""
    axis = signed(saved(head, "dim"))
    return axis is not None and bool((wanted.sum(axis) == 1).all())


def _moves_away(gradient: torch.Tensor, wanted: torch.Tensor) -> bool:
    """Whether descent lowers what shall be large, and raises the rest, nearly everywhere."""
    if gradient.shape != wanted.shape:
        return False
    mask = wanted.to(gradient.device)
    large, rest = gradient[mask], gradient[~mask]
    down, up = large.clamp(min=0).sum(), -rest.clamp(max=0).sum()
    whole, others = large.abs().sum(), rest.abs().sum()
    return bool((whole > 0) & (others > 0) & (down > _NEARLY_ALL * whole) & (2 * up > others))
