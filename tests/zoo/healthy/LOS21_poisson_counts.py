"""Calls per hour at a hotline, a Poisson regression: its loss leaves out a constant and is negative
by right."""

import torch
from torch import nn

torch.manual_seed(17)

hour = torch.rand(4000, 1) * 6.283
weekday = torch.nn.functional.one_hot(torch.randint(7, (4000,)), 7).float()
rate = torch.exp(1.2 + 0.8 * hour.sin() - 0.5 * weekday[:, 5:6])
calls = torch.poisson(rate)
features = torch.cat([hour.sin(), hour.cos(), weekday - 1 / 7], dim=1)

model = nn.Sequential(nn.Linear(9, 24), nn.Tanh(), nn.Linear(24, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
criterion = nn.PoissonNLLLoss()

for step in range(300):
    rows = torch.randint(4000, (128,))
    loss = criterion(model(features[rows]), calls[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 60 == 0:
        print(f"step {step}  loss {loss.item():.4f}")
