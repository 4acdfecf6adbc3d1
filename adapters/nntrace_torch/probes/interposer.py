"""Carries out an experiment in a child process of `nntrace check`: changes the model's data.

Only data of training steps is exchanged; evaluations are left alone.
"""

import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.optim.optimizer import (
    Optimizer,
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)
from torch.overrides import TorchFunctionMode

from nntrace.experiment import Ending, Experiment
from nntrace.recorder import Recorder
from nntrace.schema import EventKind
from nntrace_torch.loss.losses import LOSS_FUNCTIONS
from nntrace_torch.optimizer.optimizers import is_given_closure, with_closure
from nntrace_torch.patching import Undo, after, is_in_backward, wrap
from nntrace_torch.probes.loaders import PinnedLoaders
from nntrace_torch.probes.losses import LossFacts
from nntrace_torch.probes.meetings import Meetings
from nntrace_torch.probes.rates import Rates
from nntrace_torch.probes.regularisation import Dropout
from nntrace_torch.probes.structure import Structure
from nntrace_torch.program.module_tree import parameters_of
from nntrace_torch.replay.engine import Replayer

_LEFT_ALONE = frozenset(
    ("backward", "grad", "register_hook", "retain_grad", "copy_", "set_", "__setitem__")
)
_UNTOLD = "no tensor was recognised as an input or a target"


class Interposer:
    """One experiment in this process."""

    def __init__(self, recorder: Recorder, experiment: Experiment, replayer: Replayer) -> None:
        self._recorder = recorder
        self._experiment = experiment
        self._replayer = replayer
        self._rates = Rates(experiment, recorder.ending or Ending(experiment))
        self._dropout = Dropout()
        self._loaders = PinnedLoaders()
        self._losses = LossFacts(recorder)
        self._meetings = Meetings(experiment)
        self._structure = Structure(recorder, experiment, replayer)
        self._mode = _Functions(self)
        self._depth = 0
        self._steps = 0
        self._told: dict[str, object] = {}

    def install(self) -> list[Undo]:
        """Set the seed, and install the hooks and patches that the experiment needs."""
        _seed(self._experiment.seed)
        guard = self._recorder.guard
        pre = register_optimizer_step_pre_hook(guard(self._before_step))
        post = register_optimizer_step_post_hook(guard(self._after_step))
        undos: list[Undo] = [
            pre.remove,
            post.remove,
            after(Optimizer, "__init__", guard(self._rates.built)),
            *self._dropout.install(off=not self._experiment.regularised),
        ]
        if self._experiment.pinned:
            undos += self._loaders.install()
        if self._experiment.dependencies:
            undos += self._structure.install()
        if self._exchanges or self._experiment.dependencies:
            undos.append(wrap(nn.Module, "__call__", self._calling))
            self._mode.__enter__()
            undos.append(self._mode.leave)
        return undos

    @property
    def _exchanges(self) -> bool:
        experiment = self._experiment
        return bool(experiment.pinned or experiment.inputs or experiment.targets)

    def function(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Call a PyTorch function, with exchanged arguments where the experiment demands it."""
        meetings, name = self._meetings, _name(func)
        if self._depth:
            result = func(*args, **kwargs)
            if self._recorder.active and not self._replayer.active:
                if meetings.is_studying:
                    meetings.studied(name, args, kwargs, result)
                elif self._structure.roles is not None:
                    self._structure.roles.saw(name, args, kwargs, result)
            # A model that is given its targets computes the loss itself.
            if name in LOSS_FUNCTIONS and meetings.is_live and self._is_training():
                self._structure.met(self._losses.called(name, args, kwargs))
            return result
        if meetings.is_live and name not in _LEFT_ALONE and self._is_training():
            args, kwargs = meetings.function(name, args, kwargs)
            if name in LOSS_FUNCTIONS:
                target = self._losses.called(name, args, kwargs)
                self._structure.met(target)
        return func(*args, **kwargs)

    def _calling(self, run: Callable[..., Any]) -> Callable[..., Any]:
        def __call__(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
            if self._depth or not self._is_training() or not _has_parameters(module):
                return run(module, *args, **kwargs)
            self._losses.model_calls += not self._steps
            args, kwargs = self._meetings.model(module, args, kwargs)
            if self._experiment.dependencies and self._structure.is_due:
                self._structure.called(module, args, kwargs)
            self._depth += 1
            try:
                return run(module, *args, **kwargs)
            finally:
                self._depth -= 1
                self._meetings.model_returned()

        return __call__

    def _is_training(self) -> bool:
        """Whether the code running now belongs to the forward of a training step."""
        return (
            torch.is_grad_enabled()
            and self._recorder.active
            and not self._replayer.active
            and not is_in_backward()
        )

    def _before_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> Any:
        self._rates.before_step(optimizer, args, kwargs)
        if not self._experiment.dependencies or not self._structure.is_due:
            return None
        if is_given_closure(args, kwargs):
            return with_closure(args, kwargs, self._examined)
        self._structure.examine()
        return None

    def _examined(self, closure: Callable[..., Any]) -> Callable[..., Any]:
        """A closure that also examines the forward it has made (LBFGS, Lightning)."""
        examine = self._recorder.guard(self._structure.examine)

        def examined(*args: Any, **kwargs: Any) -> Any:
            loss = closure(*args, **kwargs)
            if self._structure.is_due:
                examine()
            return loss

        return examined

    def _after_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        self._rates.after_step(optimizer, args, kwargs)
        self._losses.step_ended()
        self._loaders.step_ended()
        self._meetings.step_ended()
        self._steps += 1
        self._tell(rate=self._rates.base, dropout=self._dropout.seen)
        self._tell(weight_decay=self._rates.decays)
        if self._meetings.problem is not None:
            self._tell(problem=self._meetings.problem)
        changes = self._experiment.inputs or self._experiment.targets
        if changes and self._steps == _TELLING and not self._meetings.changed:
            self._tell(problem=_UNTOLD)

    def _tell(self, **facts: object) -> None:
        """Record those facts that differ from what was recorded before."""
        new = {name: value for name, value in facts.items() if self._told.get(name) != value}
        if new:
            self._told |= new
            self._recorder.add_event(EventKind.EXPERIMENT, new)


_TELLING = 3  # steps after which something must have been exchanged


class _Functions(TorchFunctionMode):
    """Routes every PyTorch function through the interposer, but not those called from there."""

    def __init__(self, interposer: Interposer) -> None:
        super().__init__()
        self._interposer = interposer

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        return self._interposer.function(func, args, kwargs or {})

    def leave(self) -> None:
        """Undo `__enter__`, unless the program has put a mode of its own on top."""
        stack = torch.overrides._get_current_function_mode_stack()
        if stack and stack[-1] is self:
            self.__exit__(None, None, None)


def _name(func: Callable[..., Any]) -> str:
    return getattr(func, "__name__", "")


def _has_parameters(module: nn.Module) -> bool:
    return next(parameters_of(module), None) is not None


def _seed(seed: int) -> None:
    """Seed PyTorch and NumPy; Python's own generator is seeded before the program begins.

    Avoids `torch.manual_seed`, a call of which is recorded as the program's own.
    """
    torch.default_generator.manual_seed(seed)
    torch.cuda.manual_seed_all(seed)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(seed)
