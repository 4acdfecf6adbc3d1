"""A small ResNet (CIFAR-sized images, 8 residual blocks) on random batches."""

import torch
from timing import measure
from torch import nn
from torch.nn import functional as F


class Block(nn.Module):
    """Two convolutions and a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.shortcut = (
            nn.Identity()
            if inputs == outputs
            else nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map [N, C, H, W] to [N, C', H', W']."""
        y = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.norm2(self.conv2(y)) + self.shortcut(x))


torch.manual_seed(0)
widths = (32, 64, 128, 256)
model = nn.Sequential(
    nn.Conv2d(3, 32, 3, 1, 1, bias=False),
    nn.BatchNorm2d(32),
    nn.ReLU(),
    *(
        Block(widths[max(0, i - 1)] if j == 0 else widths[i], widths[i], 2 if i and j == 0 else 1)
        for i in range(4)
        for j in range(2)
    ),
    nn.AdaptiveAvgPool2d(1),
    nn.Flatten(),
    nn.Linear(256, 10),
)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
inputs, labels = torch.randn(4, 32, 3, 32, 32), torch.randint(0, 10, (4, 32))
batch = 0


def step() -> None:
    """Take a training step on the next of four random batches."""
    global batch
    batch = (batch + 1) % 4
    optimizer.zero_grad()
    F.cross_entropy(model(inputs[batch]), labels[batch]).backward()
    optimizer.step()


if __name__ == "__main__":
    measure(step, default_steps=300)
