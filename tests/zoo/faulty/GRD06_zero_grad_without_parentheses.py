"""Convolutional network that finds the angle of a line; `optimizer.zero_grad` is named in every
step and never called. In review: two characters."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(116)


def lines(count):
    angle = 3.14 * torch.rand(count)
    axis = torch.linspace(-1, 1, 14)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    away = x * angle.sin()[:, None, None] - y * angle.cos()[:, None, None]
    images = (-((away / 0.2) ** 2)).exp().unsqueeze(1)
    target = torch.stack([(2 * angle).cos(), (2 * angle).sin()], dim=1)
    return (images - 0.2) / 0.3, target


model = nn.Sequential(
    nn.Conv2d(1, 16, 3, stride=2),
    nn.ReLU(),
    nn.Conv2d(16, 16, 3, stride=2),
    nn.ReLU(),
    nn.Flatten(),
    nn.Linear(64, 2),
)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)

for step in range(250):
    optimizer.zero_grad  # noqa: B018
    images, target = lines(32)
    loss = F.mse_loss(model(images), target)
    loss.backward()
    optimizer.step()
    if step % 25 == 0:
        print(f"step {step:3d}  loss {loss.item():.4f}")
