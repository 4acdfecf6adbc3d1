"""Looks at the labels of loss functions that want −1 and 1, and are often given 0 and 1."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as functional

from nntrace.recorder import Recorder
from nntrace.schema import EventKind
from nntrace_torch.loss.graph import MOVES
from nntrace_torch.patching import Undo, after
from nntrace_torch.program.graphs import constant_operand, nodes_of, operands, operation
from nntrace_torch.program.sources import caller

# The functions, and the place of their labels among their arguments.
_LABELS = {
    "cosine_embedding_loss": 2,
    "margin_ranking_loss": 2,
    "hinge_embedding_loss": 1,
    "soft_margin_loss": 1,
}
_HINGE = "hinge"  # written by hand
_LOOKS = 4  # calls of a function with both kinds of labels
_MOST = 1 << 16
_NEAR = 64  # nodes around a loss among which a hinge is looked for
_BOUNDS = ("Clamp", "ClampMin", "Relu", "Maximum")
_LAYERS = ("Addmm", "Mm", "Mv", "Convolution")


class SignsWatch:
    """Watches these functions.

    Attributes:
        is_sampled: whether the current step is sampled.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self.is_sampled: Callable[[], bool] = lambda: False
        self._looks = dict.fromkeys((*_LABELS, _HINGE), 0)

    def install(self) -> list[Undo]:
        """Watch the functions, which the modules of losses call as well."""
        guard = self._recorder.guard
        return [after(functional, name, guard(partial(self._look, name))) for name in _LABELS]

    def _look(self, name: str, loss: Any, *args: Any, **kwargs: Any) -> None:
        if self._looks[name] == _LOOKS or not self.is_sampled() or not loss.requires_grad:
            return
        place = _LABELS[name]
        self._judge(name, args[place] if len(args) > place else kwargs.get("target"))

    def look(self, loss: torch.Tensor) -> None:
        """Before the first backward of a sampled step without a loss function of PyTorch."""
        if self._looks[_HINGE] == _LOOKS:
            return
        near = nodes_of(loss.grad_fn, most=_NEAR, nearest_first=True)
        bound = next((node for node in near if operation(node) in _BOUNDS), None)
        labels = None if bound is None else _labels_in(bound)
        if labels is None:
            self._looks[_HINGE] = _LOOKS
        self._judge(_HINGE, labels)

    def _judge(self, name: str, labels: Any) -> None:
        if type(labels) is not torch.Tensor or not 1 < labels.numel() <= _MOST:
            return
        values = labels.detach()
        are_zero = values == 0
        if not bool(are_zero.any()) or not bool((are_zero | (values == 1)).all()):
            self._looks[name] = _LOOKS if bool((values < 0).any()) else self._looks[name]
            return
        self._looks[name] += 1
        if self._looks[name] == _LOOKS:
            zeros = float(are_zero.double().mean())
            payload = {"function": name, "zeros": zeros, **caller().place}
            self._recorder.add_event(EventKind.SIGNS, payload, severity="warning")


def _labels_in(node: Any) -> Any:
    """The labels in max(0, 1 - labels · output), of the output of a layer as it is; else None."""
    margin = next(filter(None, operands(node)), None)
    if margin is None or operation(margin) != "Rsub":
        return None
    product = operands(margin)[0]
    output = next(filter(None, operands(product)), None)
    while output is not None and operation(output) in MOVES:
        output = operands(output)[0]
    is_of_layer = output is not None and operation(output) in _LAYERS
    return constant_operand(product) if is_of_layer and operation(product) == "Mul" else None
