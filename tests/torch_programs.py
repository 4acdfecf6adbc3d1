"""Small training loops that the tests of the PyTorch adapter share."""

from collections.abc import Callable, Sequence

import torch
from torch import nn
from torch.nn import functional

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def classify(
    model: nn.Module,
    inputs: torch.Tensor,
    *,
    classes: int = 3,
    steps: int = 3,
    optimizer: torch.optim.Optimizer | None = None,
    loss_function: Loss | None = None,
) -> None:
    """Train on one batch in a plain loop, by default with the current `functional.cross_entropy`.

    Looked up at the call, for a recorder may have patched it.
    """
    loss_function = loss_function or functional.cross_entropy
    optimizer = optimizer or torch.optim.SGD(model.parameters(), lr=0.1)
    targets = torch.arange(len(inputs)) % classes
    for _ in range(steps):
        optimizer.zero_grad()
        loss_function(model(inputs), targets).backward()
        optimizer.step()


def regress(
    model: nn.Module,
    inputs: torch.Tensor,
    *,
    steps: int = 3,
    optimizer: torch.optim.Optimizer | None = None,
) -> None:
    """Train in a plain loop on the mean square of the output, without calling a loss function."""
    optimizer = optimizer or torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(steps):
        optimizer.zero_grad()
        output = model(inputs)
        while isinstance(output, Sequence):
            output = output[0]
        output.square().mean().backward()
        optimizer.step()


def mlp(*, bias: bool = True) -> nn.Sequential:
    """4 → 8 → 3 with a ReLU."""
    return nn.Sequential(nn.Linear(4, 8, bias=bias), nn.ReLU(), nn.Linear(8, 3, bias=bias))


class Wrapped(nn.Module):
    """A model whose forward is the given function of (self, x)."""

    def __init__(self, forward, **parts):
        super().__init__()
        for name, part in parts.items():
            self.add_module(name, part)
        self.compute = forward

    def forward(self, *args, **kwargs):
        return self.compute(self, *args, **kwargs)
