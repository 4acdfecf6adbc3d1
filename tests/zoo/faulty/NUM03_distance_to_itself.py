"""Embedding trained on pairwise distances, `(a − b).square().sum(-1).sqrt()`: the distance of a
point to itself is 0, which is a fine value and no fine derivative. In review: the diagonal."""

import torch
from torch import nn

torch.manual_seed(4)

places = torch.randn(60, 2)
features = torch.tanh(places @ torch.randn(2, 12))

model = nn.Sequential(nn.Linear(12, 32), nn.Tanh(), nn.Linear(32, 2))
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)

for step in range(60):
    rows = torch.randint(60, (16,))
    embedded, target = model(features[rows]), places[rows]
    distance = (embedded[:, None] - embedded[None]).square().sum(-1).sqrt()
    wanted = torch.cdist(target, target)
    loss = (distance - wanted).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 10 == 0:
        print(f"step {step:2d}  loss {loss.item():.4f}")
