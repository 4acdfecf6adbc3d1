"""One call of an outermost module: what is needed to make it again.

It refers to the arguments as they were given and copies nothing.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch

from nntrace_torch.program.containers import tensors_in


@dataclass(slots=True, weakref_slot=True)
class Call:
    """A call of an outermost module, or of compiled code, within the current step.

    Attributes:
        compute: the module or function that was called.
        args: its positional arguments, by reference.
        kwargs: its keyword arguments, by reference.
        random: PyTorch's CPU random state before the call, as bytes; None in short steps and
            rollouts, where reading it would cost too much, until `recovery` has found it.
        devices: the random states of accelerators, where that of the CPU is known.
        autocast: the devices for which autocast was on, each with its dtype.
        micro_batch: the number of backward passes in the step before this call.
        gradients: the gradient with respect to each tensor of the output, by its position.
        gradients_enabled: whether the call recorded a graph.
        outputs: the length of the output's first axis, if the first argument is one-dimensional.
        returned: a weak reference to the tensor it returned; None for any other output.
    """

    compute: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    random: bytes | None
    autocast: tuple[tuple[str, torch.dtype], ...]
    micro_batch: int
    gradients: dict[int, torch.Tensor] | None = None
    gradients_enabled: bool = True
    outputs: int | None = None
    returned: Callable[[], torch.Tensor | None] | None = None
    devices: dict[str, torch.Tensor] = field(default_factory=dict)

    @property
    def arguments(self) -> tuple[Any, ...]:
        """All arguments, those given by keyword last."""
        return (*self.args, *self.kwargs.values())

    @property
    def asks_for_gradient(self) -> bool:
        """Whether it was given a tensor that gets a gradient, as by an attack on the model."""
        return any(tensor.requires_grad for tensor in tensors_in(self.arguments))


@contextmanager
def autocasting(call: Call) -> Iterator[None]:
    """A context in which autocast is as it was at a call."""
    with ExitStack() as stack:
        for device, dtype in call.autocast:
            stack.enter_context(torch.autocast(device, dtype, cache_enabled=False))
        yield


def autocast_now() -> tuple[tuple[str, torch.dtype], ...]:
    """The devices for which autocast is on, each with its dtype."""
    on = [device for device in ("cpu", "cuda") if torch.is_autocast_enabled(device)]
    return tuple((device, torch.get_autocast_dtype(device)) for device in on)
