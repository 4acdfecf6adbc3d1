"""Half of the units dropped, and decay: it fits its data less well than it could, on purpose."""

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
labels = torch.randint(0, 6, (1500,))
points = 1.5 * torch.randn(6, 20)[labels] + torch.randn(1500, 20)
model = nn.Sequential(
    nn.Linear(20, 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, 128), nn.ReLU(), nn.Dropout(0.5),
    nn.Linear(128, 6),
)  # fmt: skip
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.1)
for _ in range(8):
    for x, y in DataLoader(TensorDataset(points, labels), batch_size=50, shuffle=True):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
