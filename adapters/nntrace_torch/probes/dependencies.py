"""Finds which outputs depend on which inputs: replays a training forward with inputs changed.

Replays run in evaluation mode and all from one random state; training is not affected. Changing
an input also shows dependencies through integers and choices, which have no gradient; a gradient
(`sensitivity`) is exact.
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
from nntrace_torch.replay.engine import Replayer, original_of
from nntrace_torch.replay.guard import ReplayRefusedError, WriteGuard

R = TypeVar("R")
CLEAN, FOUND, NOTED, UNKNOWN = "clean", "found", "noted", "unknown"
_TOLERANCE = 1e-4  # of the largest output: the difference another summation order may make


@dataclass(frozen=True, slots=True)
class Answer:
    """The result of a probe: its state, a sentence, evidence, and a source line if known."""

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
        form: the tree structure (pytree spec) of the arguments.
        roles: which arguments are inputs and which targets; None when that was not followed.
        target: the target a loss function was called with, inside the module or after it.
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
        """Describe the call of `module` with `arguments`, a pair of args and kwargs."""
        leaves, form = pytree.tree_flatten(arguments)
        return cls(module, tuple(leaves), form, replayer, roles)

    @property
    def is_packed(self) -> bool:
        """Whether an argument is a packed sequence."""
        return is_packed(pytree.tree_unflatten(list(self.leaves), self.form))

    def data(self) -> list[tuple[int, torch.Tensor]]:
        """The argument tensors that carry no gradient, each with its place among the leaves."""
        return [(place, leaf) for place, leaf in enumerate(self.leaves) if is_foreign(leaf)]

    def is_target(self, place: int) -> bool:
        """Whether the argument at that place is a target."""
        return self.roles is not None and self.roles.of(place) == TARGET

    def outputs(
        self, change: Callable[[int, torch.Tensor], torch.Tensor] | None = None, *, seed: int = 0
    ) -> list[torch.Tensor]:
        """The floating-point tensors of the output, with `change` applied to the data.

        Raises:
            ReplayRefusedError: a replay would have side effects.
        """
        return self.replay(
            lambda call, args, kwargs: [out.detach() for out in floating(call(*args, **kwargs))],
            change=change,
            seed=seed,
        )

    def replay(
        self,
        read: Callable[[Callable[..., Any], Any, Any], R],
        *,
        change: Callable[[int, torch.Tensor], torch.Tensor] | None = None,
        gradients: bool = False,
        seed: int = 0,
    ) -> R:
        """Call `read` with the module and copies of its arguments, in evaluation mode.

        Returns:
            The result of `read`.

        Raises:
            ReplayRefusedError: a replay would have side effects.
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

        state = torch.Generator().manual_seed(seed).get_state().numpy().tobytes()
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
    """Whether each element differs by more than another summation order explains."""
    scale = before.abs().amax().clamp_min(1e-30)
    return ~((before - after).abs() <= _TOLERANCE * scale) & torch.isfinite(before)


def examine(name: str, probe: Callable[[], Answer]) -> Answer:
    """Run a probe; if it raises, the answer is UNKNOWN with the reason."""
    try:
        return probe()
    except (Exception, ReplayRefusedError) as error:
        return Answer(UNKNOWN, f"{name} could not be examined: {in_short(error)}")


def floating(output: Any) -> list[torch.Tensor]:
    """The floating-point tensors of an output."""
    leaves: Sequence[Any] = pytree.tree_leaves(dict(output) if hasattr(output, "keys") else output)
    return [leaf for leaf in leaves if isinstance(leaf, torch.Tensor) and leaf.is_floating_point()]
