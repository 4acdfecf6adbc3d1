"""Regression of house prices from areas and rooms, all three at mean 0 and deviation 1, by SGD at
the same rate."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)

area = 800 + 2000 * torch.rand(1000, 1)
rooms = (area / 400).round() + torch.randint(3, (1000, 1))
price = 12_000.0 * area + 500_000.0 * rooms + 1e6 * torch.randn(1000, 1)
houses = torch.cat([area, rooms], 1)
houses = (houses - houses.mean(0)) / houses.std(0)
price = (price - price.mean()) / price.std()

model = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)

for step in range(300):
    rows = torch.randint(1000, (64,))
    loss = F.mse_loss(model(houses[rows]), price[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(f"step {step:3d}  loss {loss.item():.4f}")
