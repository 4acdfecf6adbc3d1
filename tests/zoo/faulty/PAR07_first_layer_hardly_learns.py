"""Classifier of blobs whose first filters have a learning rate of a thousandth of the rest: they
stay the noise they were drawn as. In review: parameter groups of a fine-tuning script."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(56)

axis = torch.linspace(-1, 1, 20)
grid_y, grid_x = torch.meshgrid(axis, axis, indexing="ij")


def blobs(count):
    place = 1.2 * torch.rand(count, 2) - 0.6
    wide = torch.randint(0, 2, (count,))
    sx, sy = 0.25 + 0.25 * wide, 0.5 - 0.25 * wide
    dx = (grid_x - place[:, :1, None]) / sx[:, None, None]
    dy = (grid_y - place[:, 1:, None]) / sy[:, None, None]
    images = torch.exp(-(dx**2) - dy**2).unsqueeze(1) + 0.05 * torch.randn(count, 1, 20, 20)
    return (images - 0.2) / 0.3, wide


model = nn.Sequential(
    nn.Conv2d(1, 12, 7),
    nn.ReLU(),
    nn.Conv2d(12, 12, 3, stride=2),
    nn.ReLU(),
    nn.Flatten(),
    nn.Linear(12 * 36, 2),
)
groups = [
    {"params": model[0].parameters(), "lr": 2e-5},
    {"params": [p for layer in model[1:] for p in layer.parameters()], "lr": 2e-2},
]
optimizer = torch.optim.SGD(groups, lr=2e-2, momentum=0.9)

for step in range(560):
    images, wide = blobs(32)
    loss = F.cross_entropy(model(images), wide)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 40 == 0:
        print(f"step {step:3d}  loss {loss.item():.4f}")
