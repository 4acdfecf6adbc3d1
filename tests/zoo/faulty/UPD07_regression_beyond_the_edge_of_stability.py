"""Regression of a smooth function by plain SGD at a rate several times beyond what its curvature
allows. In review: `lr=1.5`, copied from a linear model."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(65)

x = torch.randn(2000, 5)
y = (torch.sin(2 * x[:, :1]) + x[:, 1:2] * x[:, 2:3]) / 1.2

model = nn.Sequential(nn.Linear(5, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=1.5)

for epoch in range(8):
    for rows in torch.randperm(len(x)).split(50):
        optimizer.zero_grad()
        loss = F.mse_loss(model(x[rows]), y[rows])
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
