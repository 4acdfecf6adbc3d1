"""A language model whose loss becomes suspiciously small is asked whether it sees the next token.

Where the targets are the next inputs the forward of one step is replayed with other tokens behind
the middle, as `nntrace check` does it, once in a run and only for that suspicion.
"""

from dataclasses import replace
from typing import Any

import torch
from torch import nn

from nntrace.recorder import Recorder
from nntrace.schema import EventKind
from nntrace_torch.replay import Call, Replayer

_SUSPICIOUS = 0.25  # of the first loss
_MANY = 1 << 25  # elements of predictions that a replay makes a second time
_FEWEST_TARGETS = 8


class FutureWatch:
    """Waits for the suspicion, and examines one forward."""

    def __init__(self, recorder: Recorder, replayer: Replayer) -> None:
        self._recorder = recorder
        self._replayer = replayer
        self._first: float | None = None
        self._is_done = False

    def look(self, call: Call | None, target: torch.Tensor | None, classes: int, loss: Any) -> None:
        """Before the first backward of a sampled step.

        Args:
            call: the last of a model.
            target: what the first loss function of the step was given, if they are token ids.
            classes: of which there are so many.
            loss: the number that is differentiated, if it is known already.
        """
        if self._is_done or call is None or target is None or type(loss) is not float:
            return
        self._first = loss if self._first is None else self._first
        if loss > _SUSPICIOUS * self._first:
            return
        self._is_done = True
        module = call.compute
        if target.numel() < _FEWEST_TARGETS or target.numel() * classes > _MANY:
            return
        if not isinstance(module, nn.Module) or not call.gradients_enabled:
            return
        # Imported for the suspicion alone.
        from nntrace_torch.probes.causality import causality, predicts_next
        from nntrace_torch.probes.dependencies import CLEAN, FOUND, Answer, Forward, examine

        def sees() -> Answer:
            if not predicts_next(forward):
                return Answer(CLEAN, "the targets are not the next inputs")
            return causality(forward)

        forward = Forward.of(module, (call.args, call.kwargs), self._replayer, None)
        forward = replace(forward, target=target)
        answer = examine("causality", sees)
        if answer.state == FOUND and "depends_on_after" in answer.evidence:
            payload = {"text": answer.text, **answer.evidence}
            self._recorder.add_event(EventKind.CAUSALITY, payload, severity="warning")
