"""Runs a forward of the program once more and leaves no trace of it in the training."""

from nntrace_torch.replay.calls import Call, RootCalls
from nntrace_torch.replay.compiled import CompiledCalls
from nntrace_torch.replay.context import SearchContext
from nntrace_torch.replay.engine import Replayer
from nntrace_torch.replay.guard import ReplayEndedError
from nntrace_torch.replay.origin import Investigator
from nntrace_torch.replay.player import CapsulePlayer
from nntrace_torch.replay.step_before import StepBefore
from nntrace_torch.replay.watch import NonfiniteWatch

__all__ = [
    "Call",
    "CapsulePlayer",
    "CompiledCalls",
    "Investigator",
    "NonfiniteWatch",
    "ReplayEndedError",
    "Replayer",
    "RootCalls",
    "SearchContext",
    "StepBefore",
]
