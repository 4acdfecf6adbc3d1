"""A bottleneck left at one rectified unit: no capacity for eight kinds of points."""

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
labels = torch.randint(0, 8, (1024,))
centres = 3 * torch.randn(8, 16)
points = centres[labels] + torch.randn(1024, 16)
loader = DataLoader(TensorDataset(points, labels), batch_size=64, shuffle=True)
model = nn.Sequential(nn.Linear(16, 1), nn.ReLU(), nn.Linear(1, 8))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
for _ in range(20):
    for x, y in loader:
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
