"""Examines one training step of the program: its forward, and its hand-written functions."""

from dataclasses import asdict, replace
from typing import Any

import torch
from torch import nn

from nntrace.experiment import Experiment
from nntrace.recorder import Recorder
from nntrace.schema import EventKind
from nntrace_torch.patching import Undo
from nntrace_torch.probes.causality import causality
from nntrace_torch.probes.dependencies import CLEAN, UNKNOWN, Answer, Forward, examine
from nntrace_torch.probes.gradients import OwnFunctions
from nntrace_torch.probes.layers import own_layers
from nntrace_torch.probes.mixing import mixing
from nntrace_torch.probes.roles import Roles
from nntrace_torch.probes.trees import foreign_tensors
from nntrace_torch.replay.engine import Replayer

_NOT_SEEN = Answer(UNKNOWN, "no call of a module with parameters was seen in a training step")


class Structure:
    """Keeps the last call of an outermost module in one of the last steps, and examines it."""

    def __init__(self, recorder: Recorder, experiment: Experiment, replayer: Replayer) -> None:
        self._recorder = recorder
        self._experiment = experiment
        self._replayer = replayer
        self._functions = OwnFunctions()
        self._forward: Forward | None = None
        self.roles: Roles | None = None
        self._is_done = False

    def install(self) -> list[Undo]:
        """Watch hand-written autograd functions."""
        return self._functions.install()

    @property
    def is_due(self) -> bool:
        """Whether this is the step to examine."""
        ending = self._recorder.ending
        due = ending is not None and ending.is_near and not self._is_done
        self._functions.is_noting = due
        return due

    def called(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Keep the call of an outermost module, and follow its arguments."""
        self.roles = Roles(foreign_tensors((args, kwargs)))
        self._forward = Forward.of(module, (args, kwargs), self._replayer, self.roles)

    def met(self, target: Any) -> None:
        """Keep the target with which a loss function was called."""
        if self._forward is not None and isinstance(target, torch.Tensor):
            self._forward = replace(self._forward, target=target.detach())

    def examine(self) -> None:
        """Examine the kept call and record the answers, before the optimizer changes anything."""
        self._is_done = True
        self._functions.is_noting = False
        forward, self._forward, self.roles = self._forward, None, None
        if forward is None:
            self._tell("mixing", _NOT_SEEN)
            self._tell("causality", _NOT_SEEN)
        else:
            self._tell("mixing", examine("mixing", lambda: mixing(forward)))
            self._tell("causality", examine("causality", lambda: causality(forward)))
        functions = self._functions.answers()
        self._tell_all("functions", functions)
        # A wrong gradient of a function makes those of the layers around it wrong, too.
        if forward is not None and all(answer.state == CLEAN for _, answer in functions):
            self._tell_all("layers", own_layers(forward))

    def _tell_all(self, what: str, answers: list[tuple[str, Answer]]) -> None:
        told = {}
        for name, answer in answers:
            file = self._experiment.original(answer.file)
            told[name] = asdict(replace(answer, file=file))
        self._recorder.add_event(EventKind.EXPERIMENT, {what: told})

    def _tell(self, name: str, answer: Answer) -> None:
        self._recorder.add_event(EventKind.EXPERIMENT, {name: asdict(answer)})
