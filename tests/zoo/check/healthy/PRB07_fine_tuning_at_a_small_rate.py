"""A pretrained trunk at 1e-4, a new head at 1e-2."""

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
labels = torch.randint(0, 5, (2000,))
points = 1.5 * torch.randn(5, 20)[labels] + torch.randn(2000, 20)
trunk = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU())
model = nn.Sequential(trunk, nn.Linear(64, 5))
optimizer = torch.optim.AdamW(
    [{"params": trunk.parameters(), "lr": 1e-4}, {"params": model[1].parameters(), "lr": 1e-2}]
)
for _ in range(6):
    for x, y in DataLoader(TensorDataset(points, labels), batch_size=50, shuffle=True):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
