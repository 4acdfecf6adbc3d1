"""Learns to rank documents for a query: a hinge on score differences, which a clamp from below
makes."""

import torch
from torch import nn

torch.manual_seed(30)

documents = torch.randn(1500, 16)
relevance = (documents @ torch.randn(16)).tanh() + 0.1 * torch.randn(1500)

model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 1, bias=False))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

for step in range(300):
    first, second = torch.randint(1500, (2, 64))
    swap = relevance[first] < relevance[second]
    better, worse = torch.where(swap, second, first), torch.where(swap, first, second)
    margin = model(documents[better]) - model(documents[worse])
    loss = (0.5 - margin).clamp(min=0).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 60 == 0:
        print(f"step {step}  loss {loss.item():.4f}")
