"""Notices that gradients are computed and no optimizer ever acts on them.

A program that wants the gradient of an input is not idle.
"""

from nntrace.adapter.idling import ELEMENTS, LOOKED_AT, IdlePasses
from nntrace.recorder import Recorder
from nntrace_torch.program.ranks import local_part
from nntrace_torch.program.sources import caller
from nntrace_torch.program.tensors import sampled_part
from nntrace_torch.replay.call import Call
from nntrace_torch.samples.modules import Models

_BY_HAND = (
    "the program changes its parameters by hand; experiments count and change the steps of an "
    "optimizer of torch.optim"
)


class IdleWatch:
    """Watches the time before the first optimizer step."""

    def __init__(self, recorder: Recorder, models: Models) -> None:
        self._recorder = recorder
        self._models = models
        self._passes = IdlePasses(recorder)

    def backward(self, call: Call | None) -> None:
        """A backward pass begins, after this call of a model."""
        if self._recorder.steps or call is None or call.asks_for_gradient:
            return
        if self._passes.count(self._read, caller) and self._recorder.experiment is not None:
            self._recorder.open()
            self._recorder.end_process(_BY_HAND)

    def _read(self) -> list[bytes]:
        """A few values of the parameters, as bytes: tensors would show in the program's memory."""
        values: list[bytes] = []
        for model in self._models.known:
            for parameter in model.parameters():
                part = sampled_part(local_part(parameter))
                if parameter.requires_grad and part is not None and len(values) < LOOKED_AT:
                    part = part.reshape(-1)[:ELEMENTS]
                    values.append(part.float().cpu().numpy().tobytes())
        return values
