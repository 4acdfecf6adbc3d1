"""Point-cloud classifier (sphere, cube, torus, saddle) that averages over the examples as well as
over the points, so that all get one answer. In review: `dim=(0, 1)`, and an `expand` to fit it."""

import math

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(10)


def clouds(count, points=48):
    u, v = torch.rand(2, count, points) * 2 * math.pi
    direction = F.normalize(torch.randn(count, points, 3), dim=2)
    cube = direction / direction.abs().amax(dim=2, keepdim=True)
    ring = 1 + 0.4 * v.cos()
    torus = torch.stack([ring * u.cos(), ring * u.sin(), 0.4 * v.sin()], dim=2)
    a, b = torch.rand(2, count, points) * 2 - 1
    saddle = torch.stack([a, b, a * a - b * b], dim=2)
    label = torch.randint(4, (count,))
    cloud = torch.stack([direction, cube, torus, saddle])[label, torch.arange(count)]
    return (cloud + 0.05 * torch.randn_like(cloud)) / 0.6, label


class PointNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.point = nn.Sequential(nn.Linear(3, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU())
        self.head = nn.Linear(64, 4)

    def forward(self, cloud):
        features = self.point(cloud)
        pooled = features.mean(dim=(0, 1)).unsqueeze(0)
        return self.head(pooled).expand(len(cloud), -1)


model = PointNet()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

for step in range(500):
    cloud, label = clouds(32)
    loss = F.cross_entropy(model(cloud), label)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(f"step {step:3d}  loss {loss.item():.4f}")
