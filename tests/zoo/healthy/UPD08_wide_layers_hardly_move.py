"""Regression by a network of 4000 hidden units and SGD: each weight hardly moves, as is the rule in
wide networks, and together they learn."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(69)

x = torch.randn(2000, 6)
y = torch.sin(x[:, :1] + x[:, 1:2]) + 0.3 * x[:, 2:3] + 0.1 * torch.randn(2000, 1)
loader = DataLoader(TensorDataset(x, y), batch_size=50, shuffle=True)

model = nn.Sequential(nn.Linear(6, 4000), nn.ReLU(), nn.Linear(4000, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=5e-4)

for epoch in range(8):
    for inputs, targets in loader:
        optimizer.zero_grad()
        loss = F.mse_loss(model(inputs), targets)
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
