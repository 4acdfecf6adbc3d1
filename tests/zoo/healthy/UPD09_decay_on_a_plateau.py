"""Regression with noise whose rate is divided by ten whenever the validation loss has stopped to
fall, down to a ten-thousandth."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(72)

x = torch.randn(2500, 4)
y = torch.sin(x[:, :1]) + 0.5 * x[:, 1:2] * x[:, 2:3] + 0.5 * torch.randn(2500, 1)
train, valid = TensorDataset(x[:2000], y[:2000]), (x[2000:], y[2000:])
loader = DataLoader(train, batch_size=50, shuffle=True)

model = nn.Sequential(nn.Linear(4, 48), nn.ReLU(), nn.Linear(48, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=1, min_lr=1e-6)

for epoch in range(25):
    for inputs, targets in loader:
        optimizer.zero_grad()
        loss = F.mse_loss(model(inputs), targets)
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        error = F.mse_loss(model(valid[0]), valid[1])
    schedule.step(error)
    print(f"epoch {epoch}  loss {loss.item():.4f}  validation {error.item():.4f}")
