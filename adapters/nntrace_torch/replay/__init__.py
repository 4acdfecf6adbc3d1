"""Runs a forward of the program once more and leaves no trace of it in the training."""

from nntrace_torch.replay.compiled import CompiledCalls
from nntrace_torch.replay.engine import Replayer
from nntrace_torch.replay.guard import ReplayEndedError

__all__ = ["CompiledCalls", "ReplayEndedError", "Replayer"]
