"""The places in a training step at which data meets the model, in order, and the data there.

A meeting is the call of an outermost module, or of a function with both a tensor that carries a
gradient and one that does not. Data that meets the model is an input; data that meets the model's
output is a target.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils import _pytree as pytree

from nntrace.experiment import Experiment
from nntrace_torch.loss.losses import LOSS_FUNCTIONS
from nntrace_torch.probes.roles import INPUT, TARGET, Roles
from nntrace_torch.probes.trees import Taken, exchange, foreign_tensors, put, take

_ODD_STEPS = 0.2  # the share of steps that may differ from the first in their meetings
_FEW_ODD_STEPS = 3
_LOOKS_UP = ("embedding", "embedding_bag", "__getitem__", "index_select", "gather")

Key = tuple[str, object]


@dataclass(frozen=True, slots=True)
class _Meeting:
    key: Key
    taken: Taken


class Meetings:
    """Follows a program through the meetings of its steps, and exchanges the data there.

    Attributes:
        is_live: whether the current calls belong to training, not to an evaluation.
        is_studying: whether the roles of the modules' arguments are still being found out.
        changed: meetings pinned, and tensors zeroed or shuffled, so far.
        problem: why the experiment's result does not count; None if it does.
    """

    def __init__(self, experiment: Experiment) -> None:
        self._experiment = experiment
        self._reference: list[_Meeting] | None = None
        self._noted: list[_Meeting] = []
        self._place = 0
        self._is_odd = False
        self._odd_steps = 0
        self._steps = 0
        self._trains: bool | None = None
        self._last_mode = True
        self._roles: dict[int, Roles] = {}
        self._studied: Roles | None = None
        self._orders: dict[int, torch.Tensor] = {}
        self._random = torch.Generator().manual_seed(experiment.seed + 1)
        self.is_live = True
        self.is_studying = bool(experiment.inputs or experiment.targets)
        self.changed = 0
        self.problem: str | None = None

    def model(
        self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments with which to call an outermost module."""
        self.is_live = self._trains in (None, module.training)
        if not self.is_live:
            return args, kwargs
        self._last_mode = module.training
        arguments: Any = (args, kwargs)
        if self._experiment.pinned:
            arguments = self._pinned(("model", id(module)), arguments)
        if self.is_studying:
            self._studied = self._roles[id(module)] = Roles(foreign_tensors(arguments))
        elif (roles := self._roles.get(id(module))) is not None:
            guesses = not any(roles.of(place) == INPUT for place, _ in foreign_tensors(arguments))

            def change(place: int, tensor: torch.Tensor) -> torch.Tensor:
                role = roles.of(place)
                if role == INPUT or (guesses and role != TARGET and tensor.is_floating_point()):
                    return self._zeroed(tensor)
                return self._shuffled(tensor) if role == TARGET else tensor

            arguments = exchange(arguments, change)
        return arguments[0], arguments[1]

    def model_returned(self) -> None:
        """The call of the outermost module is over."""
        self._studied = None

    def studied(self, name: str, args: Any, kwargs: Any, result: Any) -> None:
        """A function was called inside the module that is being called."""
        if self._studied is not None:
            self._studied.saw(name, args, kwargs, result)

    def function(
        self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments with which to call a function outside all modules."""
        arguments: Any = (_indexed(args) if name == "__getitem__" else args, kwargs)
        tensors = [x for x in pytree.tree_leaves(arguments) if isinstance(x, torch.Tensor)]
        own = [tensor for tensor in tensors if tensor.requires_grad]
        if not own or not any(t.dim() and not t.requires_grad for t in tensors):
            return args, kwargs
        if _writes(name) and not args[0].requires_grad:
            return args, kwargs
        if self._experiment.pinned:
            arguments = self._pinned(("function", name), arguments)
        meets_output = name in LOSS_FUNCTIONS or not any(tensor.is_leaf for tensor in own)
        if meets_output and self._experiment.targets:
            arguments = exchange(arguments, lambda _, tensor: self._shuffled(tensor))
        elif not meets_output and self._experiment.inputs:
            arguments = exchange(
                arguments,
                lambda _, tensor: (
                    self._zeroed(tensor)
                    if tensor.is_floating_point() or name in _LOOKS_UP
                    else tensor
                ),
            )
        return arguments[0], arguments[1]

    def step_ended(self) -> None:
        """An optimizer stepped; one that steps right after another ends no further step."""
        self._orders.clear()
        self.is_studying = self.is_studying and not self._roles and not self._steps
        if self._experiment.pinned and not self._end_sequence():
            return
        self._steps += 1
        self._trains = self._last_mode
        if self._odd_steps > max(_FEW_ODD_STEPS, _ODD_STEPS * self._steps):
            self.problem = "the steps differ in how often they call the model"

    def _end_sequence(self) -> bool:
        """Compare the step's meetings with the first step's; False if there were none."""
        if self._reference is None:
            if not self._noted:
                return False
            self._reference, self._noted = self._noted, []
        elif self._place or self._noted:
            if self._noted:
                self._reference = self._reference[: self._place] + self._noted
                self._noted = []
            self._odd_steps += self._is_odd or self._place < len(self._reference)
        else:
            return False
        self._place, self._is_odd = 0, False
        return True

    def _pinned(self, key: Key, arguments: Any) -> Any:
        reference = self._reference
        if reference is None or self._noted:
            self._noted.append(_Meeting(key, take(arguments)))
            return arguments
        if self._place == len(reference):
            self._is_odd = True  # more meetings than in the first step
            return arguments
        meeting = reference[self._place]
        exchanged = put(meeting.taken, arguments) if meeting.key == key else None
        if exchanged is None:
            self._is_odd = True
            self._noted.append(_Meeting(key, take(arguments)))
            return arguments
        self._place += 1
        self.changed += 1
        return exchanged

    def _zeroed(self, tensor: torch.Tensor) -> torch.Tensor:
        if not self._experiment.inputs:
            return tensor
        self.changed += 1
        return torch.zeros_like(tensor)

    def _shuffled(self, tensor: torch.Tensor) -> torch.Tensor:
        if not self._experiment.targets or not tensor.dim() or tensor.shape[0] < 2:
            return tensor
        self.changed += 1
        rows = tensor.shape[0]
        if rows not in self._orders:
            self._orders[rows] = torch.randperm(rows, generator=self._random, device="cpu")
        return tensor[self._orders[rows].to(tensor.device)]


def _indexed(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """The arguments of an indexing, with a list of rows as the tensor that says the same."""
    index = args[-1]
    if type(index) is list and index and all(type(row) is int for row in index):
        return (*args[:-1], torch.tensor(index, device="cpu"))
    return args


def _writes(name: str) -> bool:
    """Whether a function writes to its first argument."""
    return (name.endswith("_") and not name.endswith("__")) or name.startswith("__i")
