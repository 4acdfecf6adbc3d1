"""Tests whether a language model sees the next token, once its loss is suspiciously small.

So, too, whether a model of series [N, T, …] sees the next values; and whether a model that reads
nothing ahead is given its targets, each at its own position.

If the targets are among the inputs, the forward of one step is replayed with other tokens after the
middle, as `nntrace check` does. This happens once in a run at most, and only on that suspicion.
"""

from dataclasses import replace
from typing import Any

import torch
from torch import nn

from nntrace.adapter.suspicion import FEWEST_TARGETS, MOST_PREDICTIONS, SmallLoss
from nntrace.recorder import Recorder
from nntrace.schema import EventKind
from nntrace_torch.replay.calls import Call
from nntrace_torch.replay.engine import Replayer

_FEWEST_COPIES = 128  # equal targets and inputs: of a text and its correction, some differ


class FutureWatch:
    """Waits for a suspiciously small loss, and then examines one forward."""

    def __init__(self, recorder: Recorder, replayer: Replayer) -> None:
        self._recorder = recorder
        self._replayer = replayer
        self._small = SmallLoss()

    def look(self, call: Call | None, target: torch.Tensor | None, classes: int, loss: Any) -> None:
        """Examine the step if its loss is suspicious; called before its first backward.

        Args:
            call: the last call of a model.
            target: the target of the step's first loss function, if it holds token ids or values.
            classes: the number of token ids; 1 for values.
            loss: the value that is differentiated, if it is known already.
        """
        if call is None or target is None or type(loss) is not float:
            return
        if not self._small.is_reached(loss):
            return
        module = call.compute
        if not FEWEST_TARGETS <= target.numel() <= MOST_PREDICTIONS // classes:
            return
        if not isinstance(module, nn.Module) or not call.gradients_enabled:
            return
        # Imported only on suspicion.
        from nntrace_torch.probes.causality import causality, shift_of_target
        from nntrace_torch.probes.dependencies import CLEAN, FOUND, Answer, Forward, examine

        def sees() -> Answer:
            shift = shift_of_target(forward)
            if shift is None or (shift == 0 and target.numel() < _FEWEST_COPIES):
                return Answer(CLEAN, "the targets are neither the inputs nor the next ones")
            return causality(forward)

        forward = Forward.of(module, (call.args, call.kwargs), self._replayer, None)
        forward = replace(forward, target=target)
        with self._recorder.setting_up():
            answer = examine("causality", sees)
        if answer.state == FOUND:
            payload = {"text": answer.text, **answer.evidence}
            self._recorder.add_event(EventKind.CAUSALITY, payload, severity="warning")
