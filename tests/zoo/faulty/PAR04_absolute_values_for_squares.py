"""Classifier of waves with weight decay written by hand, `abs` where `square` is meant: it pulls a
small weight as strongly as a large one, and nearly all of them end in a heap at zero."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(861)
DECAY = 1e-3

kinds = torch.randint(4, (2000,))
waves = torch.sin(torch.arange(48) * (0.2 + 0.1 * kinds[:, None]) + 6.28 * torch.rand(2000, 1))
waves = (waves + 0.3 * torch.randn(2000, 48))[:, None]

model = nn.Sequential(
    nn.Conv1d(1, 24, 9, stride=2),
    nn.ReLU(),
    nn.Flatten(),
    nn.Linear(480, 64),
    nn.ReLU(),
    nn.Linear(64, 4),
)
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)

for epoch in range(8):
    for rows in torch.randperm(len(waves)).split(64):
        loss = F.cross_entropy(model(waves[rows]), kinds[rows])
        for weight in model.parameters():
            loss = loss + DECAY * weight.abs().sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
