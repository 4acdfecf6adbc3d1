"""Classifier trained on batches of two whose labels come from another table: each gradient is the
noise of its batch. In review: a join on the wrong key."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(48)

x = torch.randn(4000, 16)
labels = (x[:, 0] + x[:, 1] * x[:, 2] > 0).long()
joined = labels[torch.randperm(len(labels))]
model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 2))
nn.init.zeros_(model[-1].weight)
optimizer = torch.optim.SGD(model.parameters(), lr=0.005)

for step, rows in enumerate(torch.randperm(len(x)).split(2)[:800]):
    loss = F.cross_entropy(model(x[rows]), joined[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 80 == 0:
        print(f"step {step:3d}  loss {loss.item():.4f}")
