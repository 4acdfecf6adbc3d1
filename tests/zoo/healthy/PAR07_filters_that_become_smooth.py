"""Classifier of smooth blobs whose first filters are learned with the rest and decayed a little."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(156)

axis = torch.linspace(-1, 1, 20)
grid_y, grid_x = torch.meshgrid(axis, axis, indexing="ij")


def blobs(count):
    place = 1.2 * torch.rand(count, 2) - 0.6
    wide = torch.randint(0, 2, (count,))
    sx, sy = 0.25 + 0.25 * wide, 0.5 - 0.25 * wide
    dx = (grid_x - place[:, :1, None]) / sx[:, None, None]
    dy = (grid_y - place[:, 1:, None]) / sy[:, None, None]
    images = torch.exp(-(dx**2) - dy**2).unsqueeze(1) + 0.5 * torch.randn(count, 1, 20, 20)
    return (images - 0.2) / 0.3, wide


model = nn.Sequential(
    nn.Conv2d(1, 12, 7),
    nn.ReLU(),
    nn.Conv2d(12, 12, 3, stride=2),
    nn.ReLU(),
    nn.Flatten(),
    nn.Linear(12 * 36, 2),
)
optimizer = torch.optim.SGD(model.parameters(), lr=2e-2, momentum=0.9, weight_decay=2e-2)

for step in range(320):
    images, wide = blobs(32)
    loss = F.cross_entropy(model(images), wide)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 40 == 0:
        print(f"step {step:3d}  loss {loss.item():.4f}")
