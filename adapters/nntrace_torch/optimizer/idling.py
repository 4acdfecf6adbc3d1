"""Notices that gradients are computed and no optimizer ever acts on them.

Until the first optimizer step, backward passes are counted and a few values of the parameters
compared. A program that updates them by hand is not idle, nor is one that wants the gradient of an
input.
"""

from typing import Any

from nntrace.recorder import Recorder, is_landmark
from nntrace.schema import EventKind
from nntrace_torch.program.describe import sampled_part
from nntrace_torch.program.ranks import local_part
from nntrace_torch.program.sources import caller
from nntrace_torch.replay.calls import Call
from nntrace_torch.replay.guard import tensors_in
from nntrace_torch.samples.modules import Models

_MANY = 32  # passes: more than are accumulated for one step, as a rule
_LOOKED_AT = 8  # parameters
_ELEMENTS = 64
_BY_HAND = (
    "the program changes its parameters by hand; experiments count and change the steps of an "
    "optimizer of torch.optim"
)


class IdleWatch:
    """Watches the time before the first optimizer step."""

    def __init__(self, recorder: Recorder, models: Models) -> None:
        self._recorder = recorder
        self._models = models
        self._backwards = 0
        self._values: list[bytes] = []

    def backward(self, call: Call | None) -> None:
        """A backward pass begins, after this call of a model."""
        if self._recorder.steps or call is None or _wants_input_gradient(call):
            return
        self._backwards += 1
        if self._backwards == 1:
            self._values = self._read()
        elif self._backwards >= _MANY and is_landmark(self._backwards) and self._values:
            now = self._read()
            if now != self._values:
                self._values = now
                if self._recorder.experiment is not None:
                    self._recorder.open()
                    self._recorder.end_process(_BY_HAND)
                return
            payload = {"backwards": self._backwards, **caller().place}
            self._recorder.add_event(EventKind.IDLE, payload, severity="warning")
            self._recorder.open()

    def _read(self) -> list[bytes]:
        """A few values of the parameters, as bytes: tensors would show in the program's memory."""
        values: list[bytes] = []
        for model in self._models.known:
            for parameter in model.parameters():
                part = sampled_part(local_part(parameter))
                if parameter.requires_grad and part is not None and len(values) < _LOOKED_AT:
                    part = part.reshape(-1)[:_ELEMENTS]
                    values.append(part.float().cpu().numpy().tobytes())
        return values


def _wants_input_gradient(call: Call) -> bool:
    arguments: Any = (*call.args, *call.kwargs.values())
    return any(tensor.requires_grad for tensor in tensors_in(arguments))
