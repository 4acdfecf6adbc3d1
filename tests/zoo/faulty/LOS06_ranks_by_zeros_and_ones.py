"""Learns to rank from pairs; the label is 1 where the first is better, and 0 elsewhere."""

import torch
from torch import nn

torch.manual_seed(34)

worth = torch.randn(8)
model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
ranking = nn.MarginRankingLoss(margin=0.5)

for step in range(250):
    one, other = torch.randn(2, 64, 8)
    is_better = (one @ worth > other @ worth).float()
    loss = ranking(model(one).squeeze(1), model(other).squeeze(1), is_better)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(f"step {step}  loss {loss.item():.4f}")
