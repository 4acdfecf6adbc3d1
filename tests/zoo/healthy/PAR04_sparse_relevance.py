"""Regression on a few of many features: their weights stand out, within the bell of the rest."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(153)

x = torch.randn(3000, 40)
y = x[:, 0] + 0.5 * x[:, 1] * x[:, 2]
model = nn.Sequential(nn.Linear(40, 48), nn.ReLU(), nn.Linear(48, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)

for epoch in range(8):
    for rows in torch.randperm(len(x)).split(64):
        loss = F.mse_loss(model(x[rows]).squeeze(1), y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
