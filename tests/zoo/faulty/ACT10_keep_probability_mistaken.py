"""Signal classifier ported from a framework whose dropout takes the share that is kept: 0.95 drops
nearly everything. In review: a number that looks familiar."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(41)

KEEP = 0.95
time = torch.linspace(0, 1, 32)
kind = torch.randint(0, 4, (2000,))
signals = torch.sin(2 * torch.pi * (kind + 1)[:, None] * (time + torch.rand(2000, 1)))
signals = (signals + 0.3 * torch.randn(2000, 32)).unsqueeze(1)

model = nn.Sequential(
    nn.Conv1d(1, 16, 5, padding=2),
    nn.ReLU(),
    nn.Dropout(KEEP),
    nn.Conv1d(16, 16, 5, padding=2),
    nn.ReLU(),
    nn.Dropout(KEEP),
    nn.Flatten(),
    nn.Linear(16 * 32, 4),
)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)

for epoch in range(6):
    for rows in torch.randperm(len(signals)).split(64):
        loss = F.cross_entropy(model(signals[rows]), kind[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
