"""Delivery time from a few standardised measurements, flags that are rarely set, and a coarse
duration that is some times wider than the rest."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(42)

measured = torch.randn(3000, 4)
flags = (torch.rand(3000, 4) < torch.tensor([0.3, 0.05, 0.01, 0.002])).float()
hours = 3 * torch.rand(3000, 1) - 1.5
late = measured[:, :1] + flags[:, :1] + 0.4 * hours + 0.2 * torch.randn(3000, 1)
late = (late - late.mean()) / late.std()
loader = DataLoader(
    TensorDataset(torch.cat([measured, flags, hours], 1), late), batch_size=64, shuffle=True
)

model = nn.Sequential(nn.Linear(9, 48), nn.ReLU(), nn.Linear(48, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

for epoch in range(6):
    for x, y in loader:
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
