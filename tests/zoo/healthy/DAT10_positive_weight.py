"""Finds one broken sensor in ten, whose examples together weigh as much as all others."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(80)
is_broken = (torch.rand(4000) < 0.1).float()
signals = torch.randn(4000, 12) + 0.9 * is_broken[:, None] * torch.randn(12)
loader = DataLoader(TensorDataset(signals, is_broken), batch_size=64, shuffle=True)
positive = (1 - is_broken).sum() / is_broken.sum()
loss_function = nn.BCEWithLogitsLoss(pos_weight=positive)

model = nn.Sequential(nn.Linear(12, 32), nn.ReLU(), nn.Linear(32, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for epoch in range(8):
    for given, wanted in loader:
        loss = loss_function(model(given).squeeze(1), wanted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
