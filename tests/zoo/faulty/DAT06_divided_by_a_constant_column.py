"""Standardises each batch of sensor readings by its own deviation; one sensor hangs now and then
and gives the same value for hours."""

import torch
from torch import nn

torch.manual_seed(43)

readings = torch.randn(4000, 6).cumsum(0) * 0.02
readings[2600:3000, 2] = readings[2600, 2]
wear = (readings @ torch.randn(6, 1)).tanh() + 0.1 * torch.randn(4000, 1)

model = nn.Sequential(nn.Linear(6, 32), nn.Tanh(), nn.Linear(32, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

for step in range(100):
    rows = slice(step * 40, step * 40 + 40)
    batch = readings[rows]
    batch = (batch - batch.mean(0)) / batch.std(0)
    loss = nn.functional.mse_loss(model(batch), wear[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 10 == 0:
        print(f"step {step}  loss {loss.item():.4f}")
