"""Forecast of a sensor that now and then reports numbers fifty times too large, twice within a few
batches: each throws the model back. In review: the targets were never looked at."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(46)

STEPS = 400
model = nn.Sequential(nn.Linear(12, 64), nn.ReLU(), nn.Linear(64, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.02)

for step in range(STEPS):
    x = torch.randn(64, 12)
    y = x[:, 0] + torch.sin(2 * x[:, 1])
    if step in (150, 158, 220, 228, 290, 298, 360, 368):
        y[5] = 60.0
    loss = F.mse_loss(model(x).squeeze(1), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 40 == 0:
        print(f"step {step:3d}  loss {loss.item():.4f}")
