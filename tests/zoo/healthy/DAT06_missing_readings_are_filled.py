"""Sensor readings with gaps, which are filled with the column's mean before the model sees them,
beside a mask that says where."""

import torch
from torch import nn

torch.manual_seed(44)

readings = torch.randn(4000, 6)
wear = (readings @ torch.randn(6, 1)).tanh() + 0.1 * torch.randn(4000, 1)
readings[torch.rand(4000, 6) < 0.1] = float("nan")
missing = readings.isnan()
filled = torch.where(missing, readings.nanmean(0), readings)
inputs = torch.cat([filled, missing.float()], dim=1)

model = nn.Sequential(nn.Linear(12, 32), nn.Tanh(), nn.Linear(32, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)

for step in range(250):
    rows = torch.randint(4000, (64,))
    loss = nn.functional.mse_loss(model(inputs[rows]), wear[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(f"step {step}  loss {loss.item():.4f}")
