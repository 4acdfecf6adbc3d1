"""What depends on what: the forward of a training step is replayed with parts of its input changed.

In evaluation mode, with one random state for all replays; the training sees nothing of it. A
change counts integers and choices, which have no gradient; a gradient (`sensitivity`) is exact.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
from torch import nn
from torch.utils import _pytree as pytree

from nntrace.text import in_short
from nntrace_torch.probes.roles import TARGET, Roles
from nntrace_torch.probes.trees import is_foreign, is_packed
from nntrace_torch.replay import Replayer
from nntrace_torch.replay.engine import original_of
from nntrace_torch.replay.guard import ReplayRefusedError, WriteGuard

R = TypeVar("R")
CLEAN, FOUND, NOTED, UNKNOWN = "clean", "found", "noted", "unknown"
_TOLERANCE = 1e-4  # of the largest output: what another summation order may do


@dataclass(frozen=True, slots=True)
class Answer:
    """What a probe of the forward saw: its state, a sentence, and numbers."""

    state: str
    text: str
    evidence: dict[str, Any] = field(default_factory=dict)
    file: str | None = None
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Forward:
    """A call of the outermost module in a training step.

    Attributes:
        leaves: the leaves of its arguments.
        form: how they are put together.
        roles: what the arguments are; None where that was not seen.
        target: what the loss function got for its target, also within the module.
    """

    module: nn.Module
    leaves: tuple[Any, ...]
    form: Any
    replayer: Replayer
    roles: Roles | None = None
    target: torch.Tensor | None = None

    @classmethod
    def of(
        cls, module: nn.Module, arguments: Any, replayer: Replayer, roles: Roles | None
    ) -> "Forward":
        """The call with these arguments."""
        leaves, form = pytree.tree_flatten(arguments)
        return cls(module, tuple(leaves), form, replayer, roles)

    @property
    def is_packed(self) -> bool:
        """Whether an argument is a packed sequence."""
        return is_packed(pytree.tree_unflatten(list(self.leaves), self.form))

    def data(self) -> list[tuple[int, torch.Tensor]]:
        """The tensors among the arguments that the program brought."""
        return [(place, leaf) for place, leaf in enumerate(self.leaves) if is_foreign(leaf)]

    def is_target(self, place: int) -> bool:
        """Whether an argument is a target, not an input."""
        return self.roles is not None and self.roles.of(place) == TARGET

    def outputs(
        self, change: Callable[[int, torch.Tensor], torch.Tensor] | None = None
    ) -> list[torch.Tensor]:
        """The floating-point tensors of the output, with `change` applied to the data.

        Raises:
            ReplayRefusedError: it cannot be replayed unseen.
        """
        return self.replay(
            lambda call, args, kwargs: [out.detach() for out in floating(call(*args, **kwargs))],
            change=change,
        )

    def replay(
        self,
        read: Callable[[Callable[..., Any], Any, Any], R],
        *,
        change: Callable[[int, torch.Tensor], torch.Tensor] | None = None,
        gradients: bool = False,
    ) -> R:
        """What `read` makes of the module and copies of its arguments, in evaluation mode.

        Raises:
            ReplayRefusedError: it cannot be replayed unseen.
        """
        leaves = [
            change(place, leaf) if change is not None and is_foreign(leaf) else leaf
            for place, leaf in enumerate(self.leaves)
        ]
        args, kwargs = pytree.tree_unflatten(leaves, self.form)
        module = original_of(self.module)

        def compute(*args: Any, **kwargs: Any) -> R:
            for part in self.module.modules():  # the replay puts the modes back
                part.training = False
            return read(module, args, kwargs)

        state = torch.Generator().manual_seed(0).get_state().numpy().tobytes()
        return self.replayer.run(
            compute,
            args,
            kwargs,
            WriteGuard(),
            modules=(self.module,),
            gradients=gradients,
            random_state=state,
        )


def changed(before: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
    """Which elements differ by more than another summation order explains."""
    scale = before.abs().amax().clamp_min(1e-30)
    return ~((before - after).abs() <= _TOLERANCE * scale) & torch.isfinite(before)


def examine(name: str, probe: Callable[[], Answer]) -> Answer:
    """The probe's answer; that it could not be carried out is one, too."""
    try:
        return probe()
    except (Exception, ReplayRefusedError) as error:
        return Answer(UNKNOWN, f"{name} could not be examined: {in_short(error)}")


def floating(output: Any) -> list[torch.Tensor]:
    """The floating-point tensors of an output."""
    leaves: Sequence[Any] = pytree.tree_leaves(dict(output) if hasattr(output, "keys") else output)
    return [leaf for leaf in leaves if isinstance(leaf, torch.Tensor) and leaf.is_floating_point()]
