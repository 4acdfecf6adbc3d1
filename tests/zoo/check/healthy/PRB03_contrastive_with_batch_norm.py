"""Two views of each example, told from those of all others: only the loss compares."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
encoder = nn.Sequential(nn.Linear(16, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 8))
optimizer = torch.optim.Adam(encoder.parameters(), lr=3e-3)
points = 2 * torch.randn(500, 16)
for _ in range(220):
    chosen = points[torch.randint(0, 500, (48,))]
    views = [F.normalize(encoder(chosen + 0.3 * torch.randn_like(chosen)), dim=1) for _ in range(2)]
    loss = F.cross_entropy(views[0] @ views[1].T / 0.2, torch.arange(48))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
