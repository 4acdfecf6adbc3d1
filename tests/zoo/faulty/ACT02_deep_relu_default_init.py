"""Eleven plain ReLU layers without bias, norm or skip, left at nn.Linear's default init, which
shrinks a ReLU signal about 2.4 times per layer. In review: depth raised from 3 to 11, no more."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(13)


def rings(count):
    x = torch.randn(count, 16)
    radius = x[:, :8].norm(dim=1) - x[:, 8:].norm(dim=1)
    return x, torch.bucketize(radius, torch.tensor([-0.45, 0.45]))


layers = [nn.Linear(16, 64, bias=False), nn.ReLU()]
for _ in range(10):
    layers += [nn.Linear(64, 64, bias=False), nn.ReLU()]
model = nn.Sequential(*layers, nn.Linear(64, 3))
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)

for step in range(500):
    x, label = rings(64)
    loss = F.cross_entropy(model(x), label)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(f"step {step:3d}  loss {loss.item():.4f}")
