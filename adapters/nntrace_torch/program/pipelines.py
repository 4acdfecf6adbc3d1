"""Looks away while a stage of a pipeline learns its shapes, by computing on unwritten memory."""

import sys
from collections.abc import Callable
from typing import Any

from torch.optim import Optimizer

from nntrace.recorder import Recorder
from nntrace_torch.patching import Undo, after, looking_away, wrap

_STAGES = "torch.distributed.pipelining.stage"
# Before the first step: a pass over the module, and the derivative of the loss by its input.
_INFERENCE = ("_forward_metadata_inference", "_backward_metadata_inference")


class PipelineStages:
    """Wraps the inference of shapes, which only programs with pipelines import.

    An optimizer is built after the stages have been imported and before they run.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._undos: list[Undo] = []

    def install(self) -> list[Undo]:
        """Watch for optimizers."""
        return [after(Optimizer, "__init__", self._recorder.guard(self._look)), self._put_back]

    def _look(self, *built: Any) -> None:
        stage = getattr(sys.modules.get(_STAGES), "PipelineStage", None)
        if stage is not None and not self._undos:
            self._undos = [wrap(stage, name, _apart) for name in _INFERENCE if hasattr(stage, name)]

    def _put_back(self) -> None:
        for undo in self._undos:
            undo()
        self._undos = []


def _apart(original: Callable[..., Any]) -> Callable[..., Any]:
    def infer(*args: Any, **kwargs: Any) -> Any:
        with looking_away():
            return original(*args, **kwargs)

    return infer
