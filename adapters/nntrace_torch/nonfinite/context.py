"""What every part of a search for an origin looks at: the program, as the observers know it."""

from dataclasses import dataclass

from nntrace_torch.nonfinite.step_before import StepBefore
from nntrace_torch.optimizer.optimizers import Optimizers
from nntrace_torch.program.sources import Sources
from nntrace_torch.replay.calls import RootCalls
from nntrace_torch.replay.engine import Replayer
from nntrace_torch.samples.modules import Models


@dataclass(frozen=True, slots=True)
class SearchContext:
    """The observers of one process that a search reads.

    Attributes:
        models: the models of the program.
        sources: where modules and optimizers were built.
        optimizers: the optimizers of the program.
        replayer: makes calls again.
        calls: the models' calls of the current step.
        before: what is kept of the step before.
    """

    models: Models
    sources: Sources
    optimizers: Optimizers
    replayer: Replayer
    calls: RootCalls
    before: StepBefore
