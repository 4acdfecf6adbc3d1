"""Looks at the labels of loss functions that want −1 and 1, and are often given 0 and 1."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as functional

from nntrace.recorder import Recorder
from nntrace.schema import EventKind
from nntrace_torch.patching import Undo, after
from nntrace_torch.program.sources import caller

# The functions, and the place of their labels among their arguments.
_LABELS = {
    "cosine_embedding_loss": 2,
    "margin_ranking_loss": 2,
    "hinge_embedding_loss": 1,
    "soft_margin_loss": 1,
}
_LOOKS = 4  # calls of a function with both kinds of labels
_MOST = 1 << 16


class SignsWatch:
    """Watches these functions.

    Attributes:
        is_sampled: whether the current step is sampled.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self.is_sampled: Callable[[], bool] = lambda: False
        self._looks = dict.fromkeys(_LABELS, 0)

    def install(self) -> list[Undo]:
        """Watch the functions, which the modules of losses call as well."""
        guard = self._recorder.guard
        return [after(functional, name, guard(partial(self._look, name))) for name in _LABELS]

    def _look(self, name: str, loss: Any, *args: Any, **kwargs: Any) -> None:
        if self._looks[name] == _LOOKS or not self.is_sampled() or not loss.requires_grad:
            return
        place = _LABELS[name]
        labels = args[place] if len(args) > place else kwargs.get("target")
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
