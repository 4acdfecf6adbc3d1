"""Regression of house prices in cents from areas in square feet, by SGD at 0.01: the first step
overshoots, the tenth overflows. In review: data as it comes from the table."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)

area = 800 + 2000 * torch.rand(1000, 1)
rooms = (area / 400).round() + torch.randint(3, (1000, 1))
price = 12_000.0 * area + 500_000.0 * rooms + 1e6 * torch.randn(1000, 1)
houses = torch.cat([area, rooms], 1)

model = nn.Linear(2, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)

for step in range(120):
    rows = torch.randint(1000, (64,))
    loss = F.mse_loss(model(houses[rows]), price[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 0:
        print(f"step {step:3d}  loss {loss.item():.4g}")
