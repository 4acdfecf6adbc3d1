"""Crowd labels, 40 % of them drawn at random: a loss of its own, and still a signal."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
true = torch.randint(0, 4, (4000,))
points = 2 * torch.randn(4, 10)[true] + torch.randn(4000, 10)
noisy = torch.where(torch.rand(4000) < 0.4, torch.randint(0, 4, (4000,)), true)
model = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 4))
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for _ in range(4):
    for x, y in DataLoader(TensorDataset(points, noisy), batch_size=64, shuffle=True):
        logs = model(x).log_softmax(1)
        loss = -logs[torch.arange(len(y)), y].mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
