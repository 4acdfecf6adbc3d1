"""Classifier of noisy rings moved from SGD to Adam with the learning rate of 0.05 kept, some ten
times too much. In review: one optimizer name changed, its argument not."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(21)


def rings(count):
    x = torch.randn(count, 12)
    radius = x[:, :6].norm(dim=1) - x[:, 6:].norm(dim=1) + 0.3 * torch.randn(count)
    return x, torch.bucketize(radius, torch.tensor([-0.45, 0.45]))


model = nn.Sequential(nn.Linear(12, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 3))
optimizer = torch.optim.Adam(model.parameters(), lr=0.05)

for step in range(500):
    x, label = rings(512)
    loss = F.cross_entropy(model(x), label)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(f"step {step:3d}  loss {loss.item():.4f}")
