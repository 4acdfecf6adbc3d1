"""Point-cloud classifier (sphere, cube, torus, saddle) whose head starts at zero as in Big Transfer
(Kolesnikov et al. 2020): at the first step all examples get one answer, later not."""

import math

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(110)


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
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, cloud):
        return self.head(self.point(cloud).mean(dim=1))


model = PointNet()
optimizer = torch.optim.Adam(model.parameters(), lr=7e-4)

for step in range(450):
    cloud, label = clouds(32)
    loss = F.cross_entropy(model(cloud), label)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(f"step {step:3d}  loss {loss.item():.4f}")

model.eval()
with torch.no_grad():
    cloud, label = clouds(500)
    print(f"accuracy {(model(cloud).argmax(1) == label).float().mean().item():.3f}")
