"""Classifier on batches of four: gradients that hardly agree, and a loss that falls."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(148)

x = torch.randn(4000, 16)
y = (x[:, 0] + x[:, 1] > 0).long()
model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 2))
optimizer = torch.optim.SGD(model.parameters(), lr=0.02)

for step, rows in enumerate(torch.randperm(len(x)).split(4)[:900]):
    loss = F.cross_entropy(model(x[rows]), y[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 90 == 0:
        print(f"step {step:3d}  loss {loss.item():.4f}")
