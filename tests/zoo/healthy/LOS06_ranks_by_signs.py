"""Learns to rank from pairs, with labels of -1 and 1, and of 0 where both are worth the same."""

import torch
from torch import nn

torch.manual_seed(35)

worth = torch.randn(8)
model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
ranking = nn.MarginRankingLoss(margin=0.5)

for step in range(250):
    one, other = torch.randn(2, 64, 8)
    better = ((one - other) @ worth).round().clamp(-1, 1)
    loss = ranking(model(one).squeeze(1), model(other).squeeze(1), better)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(f"step {step}  loss {loss.item():.4f}")
