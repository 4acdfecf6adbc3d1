"""Fuel use of cars from a table; the validation set comes from another office, in imperial units,
and is standardised with the training set's statistics."""

import torch
from torch import nn

torch.manual_seed(56)


def cars(count):
    weight, power = 1400 + 250 * torch.randn(count, 1), 110 + 30 * torch.randn(count, 1)
    use = 0.004 * weight + 0.02 * power + 0.3 * torch.randn(count, 1)
    return torch.cat([weight, power], 1), use


x, y = cars(1500)
mean, deviation, level, scale = x.mean(0), x.std(0), y.mean(), y.std()
x, y = (x - mean) / deviation, (y - level) / scale
other, other_use = cars(300)
other[:, 0] *= 2.205
other = (other - mean) / deviation
other_use = (other_use - level) / scale

model = nn.Sequential(nn.Linear(2, 24), nn.ReLU(), nn.Linear(24, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)

for step in range(240):
    rows = torch.randint(1500, (64,))
    loss = nn.functional.mse_loss(model(x[rows]), y[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 40 == 39:
        with torch.no_grad():
            error = (model(other) - other_use).abs().mean().item()
        print(f"step {step}  loss {loss.item():.4f}  validation error {error:.3f}")
