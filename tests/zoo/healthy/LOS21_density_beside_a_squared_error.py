"""Forecast of a quiet signal with the density of its error beside the squared error: the deviation
becomes small, and the loss falls below zero, as it should."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(215)

x = torch.rand(2000, 2) * 4 - 2
y = torch.sin(2 * x[:, 0]) * x[:, 1] + 0.02 * torch.randn(2000)
model = nn.Sequential(nn.Linear(2, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 2))
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
loader = torch.utils.data.DataLoader(
    torch.utils.data.TensorDataset(x, y), batch_size=50, shuffle=True
)
for epoch in range(12):
    for inputs, target in loader:
        mean, log_deviation = model(inputs).unbind(1)
        density = (0.5 * ((target - mean) / log_deviation.exp()) ** 2 + log_deviation).mean()
        loss = F.mse_loss(mean, target) + density
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
