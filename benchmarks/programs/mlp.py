"""An MLP whose step takes about a millisecond on a CPU: the worst case for per-step costs."""

import torch
from timing import measure
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(
    nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10)
)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
inputs, labels = torch.randn(64, 128, 64), torch.randint(0, 10, (64, 128))
batch = 0


def step() -> None:
    """Take a training step on the next of 64 random batches."""
    global batch
    batch = (batch + 1) % 64
    optimizer.zero_grad()
    nn.functional.cross_entropy(model(inputs[batch]), labels[batch]).backward()
    optimizer.step()


if __name__ == "__main__":
    measure(step, default_steps=8000)
