"""Regressor with one input a few hundred times larger than the others: its weights are driven to a
scale of their own. In review: millimetres and metres in one table."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(53)

x = torch.randn(2000, 40)
y = 6 * x[:, 0] * (1 + 0.2 * x[:, 1])
x[:, 0] *= 0.02
model = nn.Sequential(nn.Linear(40, 32), nn.ReLU(), nn.Linear(32, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=0.02)

for epoch in range(12):
    for rows in torch.randperm(len(x)).split(64):
        loss = F.mse_loss(model(x[rows]).squeeze(1), y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
