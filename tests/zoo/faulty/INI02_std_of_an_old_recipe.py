"""Convolutional network of five layers drawn with a standard deviation of 0.01, as the configs of
ten years ago had it, where its fan-in asks for five to ten times that."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(121)


def gaussian(module):
    if isinstance(module, nn.Conv2d):
        nn.init.normal_(module.weight, std=0.01)
        nn.init.zeros_(module.bias)


def shapes(count):
    kind = torch.randint(3, (count,))
    axis = torch.linspace(-1, 1, 16)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    move = 0.6 * torch.rand(count, 2, 1, 1) - 0.3
    y, x = (y - move[:, 0]).abs(), (x - move[:, 1]).abs()
    sizes = torch.stack([torch.maximum(x, y), (x * x + y * y).sqrt(), x + y])
    images = (sizes[kind, torch.arange(count)] < 0.55).float().unsqueeze(1)
    return (images - 0.25) / 0.43 + 0.1 * torch.randn_like(images), kind


layers = []
for inputs, outputs in [(1, 16), (16, 32), (32, 32), (32, 32)]:
    layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU()]
model = nn.Sequential(
    *layers, nn.Conv2d(32, 32, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(1568, 3)
)
model.apply(gaussian)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)

for step in range(120):
    images, kind = shapes(32)
    loss = F.cross_entropy(model(images), kind)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 12 == 0:
        print(f"step {step:3d}  loss {loss.item():.4f}")
