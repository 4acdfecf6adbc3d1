"""Tests whether a language model sees the next token, on the suspicion that it may.

So, too, whether a model of series [N, T, …] sees the next values; and whether a model that reads
nothing ahead is given its targets, each at its own position. Suspicious is a small loss, and, where
the targets are the next inputs, attention that looks at later positions, which the model may as
well have for another sequence.

If the targets are among the inputs, the forward of one step is replayed with other tokens after the
middle, as `nntrace check` does. This happens once in a run for either suspicion, at most.
"""

from dataclasses import replace
from typing import Any

from torch import nn

from nntrace.adapter.suspicion import FEWEST_TARGETS, MOST_PREDICTIONS, SmallLoss
from nntrace.recorder import Recorder
from nntrace.schema import EventKind
from nntrace_torch.replay.call import Call
from nntrace_torch.replay.engine import Replayer
from nntrace_torch.samples.step import StepSample

_FEWEST_COPIES = 128  # equal targets and inputs: of a text and its correction, some differ


class FutureWatch:
    """Waits for a suspicion, and then examines one forward."""

    def __init__(self, recorder: Recorder, replayer: Replayer) -> None:
        self._recorder = recorder
        self._replayer = replayer
        self._small = SmallLoss()
        self._has_asked = self._is_found = False

    def look(
        self, call: Call | None, sample: StepSample, loss: Any, *, attends_ahead: bool
    ) -> None:
        """Examine the step if its loss is suspicious; called before its first backward.

        Args:
            call: the last call of a model.
            sample: with the target of the step's first loss function, if it holds token ids or
                values, and the number of token ids, 1 for values.
            loss: the value that is differentiated, if it is known already.
            attends_ahead: whether there is attention that looks at later positions.
        """
        target = sample.labels
        if call is None or target is None or self._is_found:
            return
        is_small = type(loss) is float and self._small.is_reached(loss)
        # A second loss may be of another direction, whose outputs look ahead by right.
        attends_ahead = attends_ahead and sample.loss_calls == 1
        if not is_small and (self._has_asked or not attends_ahead):
            return
        self._has_asked |= attends_ahead
        module = call.compute
        if not FEWEST_TARGETS <= target.numel() <= MOST_PREDICTIONS // sample.classes:
            return
        if not isinstance(module, nn.Module) or not call.gradients_enabled:
            return
        # Imported only on suspicion.
        from nntrace_torch.probes.causality import causality, shift_of_target
        from nntrace_torch.probes.dependencies import CLEAN, FOUND, Answer, Forward, examine

        def sees() -> Answer:
            shift = shift_of_target(forward)
            is_copied = is_small and target.numel() >= _FEWEST_COPIES
            if shift is None or (shift == 0 and not is_copied):
                return Answer(CLEAN, "the targets are neither the inputs nor the next ones")
            return causality(forward)

        forward = Forward.of(module, (call.args, call.kwargs), self._replayer, None)
        forward = replace(forward, target=target)
        with self._recorder.setting_up():
            answer = examine("causality", sees)
        if answer.state == FOUND:
            payload = {"text": answer.text, **answer.evidence}
            self._is_found = True
            self._recorder.add_event(EventKind.CAUSALITY, payload, severity="warning")
